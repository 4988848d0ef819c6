// `objects`, `types`, `roots`, `leaks`, `why` and `info` for scripts.
#include "report/documents.h"
#include "report/json_parts.h"
#include "report/process_facts.h"

namespace heapwalk {
namespace {

void write_threads(const CoreDump& dump, uint64_t limit, JsonWriter& json) {
  json.rows("threads", first_rows(dump.threads, limit), [&](const Thread& thread) {
    json.member("tid", uint64_t{thread.tid});
    json.member("name", thread.name);
    json.member("crashed", thread.crashed && dump.process.signal != 0);
    json.member("program_counter", format_address(thread.program_counter));
    json.member("stack_pointer", format_address(thread.stack_pointer));
    json.member("stack_bytes", thread.stack.size_bytes());
  });
}

void write_modules(const CoreDump& dump, uint64_t limit, JsonWriter& json) {
  json.rows("modules", first_rows(dump.modules, limit), [&](const Module& module) {
    json.member("path", module.path);
    json.member("build_id", module.build_id);
    json.member("begin", format_address(module.range.begin));
    json.member("end", format_address(module.range.end));
    json.member("executable", module.is_executable);
    json.member("file", module.file_path);
    json.member("debug_file", module.debug_file_path);
    json.member("has_symbols", !module.symbols.empty());
  });
}

}  // namespace

void write_json_objects(const DocumentRequest& request, Output& output) {
  JsonWriter json(output);
  begin_document(json);
  json.key("objects");
  json.begin_array();
  for_each_object_row(request.analysis, request.objects, [&](const ObjectRow& row) {
    json.begin_object();
    json.member("address", format_address(row.address));
    json.member("size", row.size_bytes);
    json.member("state", to_string(row.state));
    json.member("allocator", row.allocator);
    json.member("type", row.type);
    json.member("evidence", to_string(row.evidence));
    json.member("reachable", row.reachable);
    json.member("retained", row.retained_bytes);
    json.member("root", row.root);
    json.end_object();
    return output.ok();
  });
  json.end_array();
  end_document(json);
}

void write_json_types(const DocumentRequest& request, Output& output) {
  JsonWriter json(output);
  begin_document(json);
  write_types(first_rows(sorted_types(request.analysis, request.type_sort), request.limit.value_or(0)), json);
  write_evidence(request.analysis.summary.evidence, json);
  write_containers(first_rows(request.analysis.summary.containers, request.limit.value_or(0)), json);
  write_diagnostics(request.analysis.diagnostics, json);
  end_document(json);
}

void write_json_roots(const DocumentRequest& request, Output& output) {
  const Summary& summary = request.analysis.summary;
  std::vector<RootRow> roots;
  for (const RootRow& root : summary.roots) {
    if (owner_matches(root.owner, request.owner)) roots.push_back(root);
  }
  std::vector<OwnerRow> owners;
  for (const OwnerRow& owner : summary.owners) {
    if (owner_matches(owner.name, request.owner)) owners.push_back(owner);
  }
  uint64_t limit = request.limit.value_or(0);
  JsonWriter json(output);
  begin_document(json);
  write_roots(first_rows(roots, limit), json);
  write_owners(first_rows(owners, limit), json);
  write_diagnostics(request.analysis.diagnostics, json);
  end_document(json);
}

void write_json_leaks(const DocumentRequest& request, Output& output) {
  const Summary& summary = request.analysis.summary;
  JsonWriter json(output);
  begin_document(json);
  json.member("leaked_bytes", summary.totals.leaked_bytes);
  json.member("leaked_objects", summary.totals.leaked_objects);
  write_leaks(first_rows(summary.leaks, request.limit.value_or(0)), json);
  write_diagnostics(request.analysis.diagnostics, json);
  end_document(json);
}

void write_json_why(const DocumentRequest& request, Output& output) {
  const WhyAnswer& answer = *request.why;
  JsonWriter json(output);
  begin_document(json);
  json.member("targets", answer.targets);
  json.key("object");
  json.begin_object();
  json.member("address", format_address(answer.object.address));
  json.member("size", answer.object.size_bytes);
  json.member("state", to_string(answer.object.state));
  json.member("type", answer.type);
  json.member("reachable", answer.reachable);
  json.member("retained_bytes", answer.retained_bytes);
  json.member("retained_objects", answer.retained_objects);
  json.end_object();
  json.rows("paths", answer.paths, [&](const RootPath& path) { write_path(path, json); });
  if (answer.leak) write_steps("leak", answer.leak->steps, json);
  end_document(json);
}

void write_json_why_type(const DocumentRequest& request, Output& output) {
  const WhyTypeAnswer& answer = *request.why_type;
  JsonWriter json(output);
  begin_document(json);
  json.member("targets", answer.targets);
  json.member("type", answer.type);
  json.member("bytes", answer.bytes);
  json.member("retained_bytes", answer.retained_bytes);
  json.member("leaked_objects", answer.leaked_objects);
  json.member("leaked_bytes", answer.leaked_bytes);
  json.member("avoided_objects", answer.avoided_objects);
  json.member("avoided_bytes", answer.avoided_bytes);
  json.member("path_count", answer.path_count);
  json.rows("paths", answer.paths, [&](const MergedPath& merged) {
    write_path(merged.path, json);
    json.member("bytes", merged.bytes);
  });
  end_document(json);
}

void write_json_info(const DocumentRequest& request, Output& output) {
  const CoreDump& dump = *request.analysis.dump;
  uint64_t limit = request.limit.value_or(0);
  JsonWriter json(output);
  begin_document(json);
  write_core(dump, json);
  json.member("architecture", dump.process.architecture == Architecture::x86_64 ? "x86_64" : "aarch64");
  json.rows("allocators", request.analysis.decoders, [&](const auto& decoder) {
    const AllocatorFacts& facts = decoder->facts();
    json.member("name", facts.name);
    json.member("version", facts.version);
    json.member("evidence", facts.evidence);
    json.member("regions", uint64_t{decoder->regions().size()});
  });
  write_threads(dump, limit, json);
  write_modules(dump, limit, json);
  write_diagnostics(request.analysis.diagnostics, json);
  end_document(json);
}

}  // namespace heapwalk
