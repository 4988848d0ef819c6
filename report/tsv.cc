// Tables for cut, sort and awk: one header line, then a row per thing, cells separated by one tab.
//
// Numbers are plain, addresses 0x…, and a tab or line break inside a name is written \t or \n, so that a line is always one
// row and a row always has the header's number of cells.
#include <initializer_list>

#include "report/documents.h"
#include "report/escape.h"
#include "report/process_facts.h"

namespace heapwalk {
namespace {

void write_row(Output& output, std::initializer_list<std::string_view> cells) {
  bool first = true;
  for (std::string_view cell : cells) {
    if (!first) output.write("\t");
    output.write(tsv_cell(cell));
    first = false;
  }
  output.write("\n");
}

std::string number(uint64_t value) {
  return std::to_string(value);
}

// The report's rows have one shape: what they are about, and bytes and objects where they have them.
class ReportRows {
 public:
  explicit ReportRows(Output& output) : output_(output) {
    write_row(output_, {"section", "kind", "name", "bytes", "objects"});
  }
  void add(std::string_view section, std::string_view kind, std::string_view name, uint64_t bytes) {
    write_row(output_, {section, kind, name, number(bytes), ""});
  }
  void add(std::string_view section, std::string_view kind, std::string_view name, uint64_t bytes, uint64_t objects) {
    write_row(output_, {section, kind, name, number(bytes), number(objects)});
  }
  void add_totals(const Totals& totals) {
    add("totals", "", "used", totals.used_bytes, totals.used_objects);
    add("totals", "", "reachable", totals.reachable_bytes, totals.reachable_objects);
    add("totals", "", "conservative", totals.conservative_bytes, totals.conservative_objects);
    add("totals", "", "possibly_live", totals.possibly_live_bytes, totals.possibly_live_objects);
    add("totals", "", "leaked", totals.leaked_bytes, totals.leaked_objects);
    add("totals", "", "free", totals.free_bytes);
    add("totals", "", "cached", totals.cached_bytes, totals.cached_objects);
    add("totals", "", "metadata", totals.metadata_bytes);
    add("totals", "", "unexplained", totals.unexplained_bytes);
  }

 private:
  Output& output_;
};

void write_steps(Output& output, std::string_view path, const RootPath& root, std::span<const PathStep> steps) {
  size_t step_number = 0;
  for (const PathStep& step : steps) {
    write_row(output, {path, number(step_number++), root.root_kind, root.root_name, format_address(step.address),
                       step.type, step.field, edge_name(step.edge), number(step.repeat), number(step.retained_bytes)});
  }
}

}  // namespace

void write_tsv_report(const DocumentRequest& request, Output& output) {
  const Summary& summary = request.analysis.summary;
  uint64_t limit = request.limit.value_or(0);
  ReportRows rows(output);
  rows.add_totals(summary.totals);
  for (const MemoryRow& row : summary.memory) rows.add("memory", row.kind, row.name, row.bytes);
  for (const AllocatorRow& row : summary.allocators) {
    rows.add("allocators", row.version, row.name, row.used_bytes, row.used_objects);
  }
  for (const SuspectRow& row : first_rows(summary.suspects, limit)) {
    rows.add("suspects", row.kind, row.name, row.retained_bytes, row.retained_objects);
  }
  for (const RootRow& row : first_rows(summary.roots, limit)) {
    rows.add("roots", row.kind, row.name, row.retained_bytes, row.retained_objects);
  }
  for (const OwnerRow& row : first_rows(summary.owners, limit)) {
    rows.add("owners", row.kind, row.name, row.retained_bytes, row.retained_objects);
  }
  for (const TypeRow& row : first_rows(summary.types, limit)) rows.add("types", "", row.name, row.bytes, row.count);
  for (const LeakRow& row : first_rows(summary.leaks, limit)) rows.add("leaks", "", row.type, row.bytes, row.objects);
  for (const SiteRow& row : first_rows(summary.sites, limit))
    rows.add("sites", row.holder, row.site(), row.estimated_bytes, row.estimated_objects);
  for (const Diagnostic& entry : request.analysis.diagnostics.all()) {
    write_row(output, {"diagnostics", entry.code, entry.text, "", number(entry.count)});
  }
}

void write_tsv_objects(const DocumentRequest& request, Output& output) {
  write_row(output, {"address", "size", "state", "allocator", "type", "evidence", "reachable", "retained", "root"});
  for_each_object_row(request.analysis, request.objects, [&](const ObjectRow& row) {
    write_row(output,
              {format_address(row.address), number(row.size_bytes), to_string(row.state), row.allocator, row.type,
               to_string(row.evidence), row.reachable ? "yes" : "no", number(row.retained_bytes), row.root});
    return output.ok();
  });
}

void write_tsv_roots(const DocumentRequest& request, Output& output) {
  write_row(output, {"name", "kind", "owner", "type", "source", "retained_bytes", "retained_objects"});
  uint64_t limit = request.limit.value_or(0);
  uint64_t rows = 0;
  for (const RootRow& root : request.analysis.summary.roots) {
    if (!owner_matches(root.owner, request.owner)) continue;
    if (limit != 0 && rows++ == limit) break;
    write_row(output, {root.name, root.kind, root.owner, root.type, root.source, number(root.retained_bytes),
                       number(root.retained_objects)});
  }
}

void write_tsv_leaks(const DocumentRequest& request, Output& output) {
  write_row(output, {"type", "roots", "objects", "bytes", "example"});
  for (const LeakRow& leak : first_rows(request.analysis.summary.leaks, request.limit.value_or(0))) {
    write_row(output,
              {leak.type, number(leak.roots), number(leak.objects), number(leak.bytes), format_address(leak.example)});
  }
}

void write_tsv_why(const DocumentRequest& request, Output& output) {
  write_row(output, {"path", "step", "root_kind", "root", "address", "type", "field", "edge", "repeat", "retained"});
  const WhyAnswer& answer = *request.why;
  for (size_t i = 0; i < answer.paths.size(); ++i) {
    std::span<const PathStep> steps = answer.paths[i].steps;
    write_steps(output, number(i + 1), answer.paths[i], steps.empty() ? steps : steps.subspan(1));
  }
  if (answer.leak) write_steps(output, "leak", *answer.leak, answer.leak->steps);
}

void write_tsv_why_type(const DocumentRequest& request, Output& output) {
  write_row(output, {"path", "objects", "bytes", "retained_bytes", "step", "root_kind", "root", "address", "type",
                     "field", "edge", "repeat"});
  size_t number_of_path = 0;
  for (const MergedPath& merged : request.why_type->paths) {
    ++number_of_path;
    for (size_t i = 1; i < merged.path.steps.size(); ++i) {  // the first is the root
      const PathStep& step = merged.path.steps[i];
      write_row(output,
                {number(number_of_path), number(merged.path.count), number(merged.bytes),
                 number(merged.path.retained_bytes), number(i - 1), merged.path.root_kind, merged.path.root_name,
                 format_address(step.address), step.type, step.field, edge_name(step.edge), number(step.repeat)});
    }
  }
}

void write_tsv_types(const DocumentRequest& request, Output& output) {
  write_row(output, {"name", "count", "bytes", "retained_bytes"});
  const std::vector<TypeRow> types = sorted_types(request.analysis, request.type_sort);
  for (const TypeRow& row : first_rows(types, request.limit.value_or(0)))
    write_row(output, {row.name, number(row.count), number(row.bytes), number(row.retained_bytes)});
}

// One table of several sections: the object, its fields, its neighbours.
void write_tsv_show(const DocumentRequest& request, Output& output) {
  const ShowAnswer& answer = *request.show;
  write_row(output, {"section", "name", "kind", "address", "bytes", "retained_bytes", "value"});
  const Address at = answer.object.address;
  write_row(output, {"object", answer.type, to_string(answer.object.state), format_address(at),
                     number(answer.object.size_bytes), number(answer.retained_bytes), to_string(answer.evidence)});
  for (const FieldValue& field : answer.fields)
    write_row(output, {"field", std::string(size_t{field.depth} * 2, ' ') + field.name, field.type,
                       format_address(at + field.offset_bytes), "", "", field.value});
  const auto write_neighbour = [&](std::string_view section, const Neighbour& other) {
    write_row(output, {section, other.name, other.kind, format_address(other.address), number(other.size_bytes),
                       number(other.retained_bytes), other.field});
  };
  for (const Neighbour& other : answer.referrers) write_neighbour("referrer", other);
  for (const Neighbour& other : answer.references) write_neighbour("reference", other);
  if (answer.dominator) write_neighbour("dominator", *answer.dominator);
}

void write_tsv_info(const DocumentRequest& request, Output& output) {
  const CoreDump& dump = *request.analysis.dump;
  write_row(output, {"section", "key", "name", "detail"});
  write_row(output, {"process", number(dump.process.pid), dump.process.command, signal_name(dump.process.signal)});
  for (const auto& decoder : request.analysis.decoders) {
    write_row(output, {"allocator", decoder->facts().version, decoder->facts().name, decoder->facts().evidence});
  }
  for (const Thread& thread : dump.threads) {
    write_row(output, {"thread", number(thread.tid), thread.name, format_address(thread.program_counter)});
  }
  for (const Module& module : dump.modules) {
    write_row(output, {"module", module.build_id, module.path, module.file_path});
  }
  for (const Diagnostic& entry : request.analysis.diagnostics.all()) {
    write_row(output, {"diagnostic", entry.code, number(entry.count), entry.text});
  }
}

}  // namespace heapwalk
