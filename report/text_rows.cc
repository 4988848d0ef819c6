// `objects`, `roots` and `leaks` for people: one table each.
#include "heapwalk/bytes_text.h"
#include "heapwalk/readable_names.h"
#include "report/documents.h"
#include "report/escape.h"
#include "report/process_facts.h"
#include "report/text_paths.h"
#include "report/text_table.h"

namespace heapwalk {
namespace {

constexpr uint64_t kDefaultRows = 50;

}  // namespace

// Rows stream past, so the columns are as wide as values usually are, and a longer one shifts its row.
void write_text_objects(const DocumentRequest& request, Output& output) {
  TextStyle style(request.color);
  output.print("{}\n", style.faint(fmt::format("{:<16} {:>12} {:<8} {:>5} {:>12}  {:<28} {}", "address", "size",
                                               "state", "root?", "retained", "type", "root")));
  uint64_t rows = 0;
  for_each_object_row(request.analysis, request.objects, [&](const ObjectRow& row) {
    ++rows;
    output.print("{:<16} {:>12} {:<8} {:>5} {:>12}  {:<28} {}\n", format_address(row.address),
                 count_text(row.size_bytes), to_string(row.state), row.reachable ? "yes" : "no",
                 count_text(row.retained_bytes), clip_text(printable(readable_type_name(row.type)), 60),
                 printable(row.root));
    return output.ok();
  });
  if (rows == 0) output.write("no allocations match\n");
}

void write_text_roots(const DocumentRequest& request, Output& output) {
  const Summary& summary = request.analysis.summary;
  TextStyle style(request.color);
  uint64_t limit = request.limit.value_or(kDefaultRows);
  output.print("{}\n", style.heading("Roots by retained bytes"));
  TextTable roots({{"retained", Align::right},
                   {"share", Align::right},
                   {"objects", Align::right},
                   {"kind"},
                   {"root", Align::left, 56},
                   {"owner"}});
  uint64_t matching = 0;
  for (const RootRow& root : summary.roots) {
    if (!owner_matches(root.owner, request.owner)) continue;
    if (limit != 0 && ++matching > limit) continue;
    roots.add({bytes_text(root.retained_bytes), share_text(root.retained_bytes, summary.totals.used_bytes),
               count_text(root.retained_objects), root.kind, root.name, root.owner});
  }
  roots.print(output, style);
  if (roots.empty()) output.write("  none\n");
  if (matching > limit) output.print("  … and {} more: --limit 0 shows all\n", count_text(matching - limit));

  output.print("\n{}\n", style.heading("Owners by retained bytes"));
  TextTable owners(
      {{"retained", Align::right}, {"share", Align::right}, {"objects", Align::right}, {"kind"}, {"owner"}});
  for (const OwnerRow& owner : first_rows(summary.owners, limit)) {
    if (!owner_matches(owner.name, request.owner)) continue;
    owners.add({bytes_text(owner.retained_bytes), share_text(owner.retained_bytes, summary.totals.used_bytes),
                count_text(owner.retained_objects), owner.kind, owner.name});
  }
  owners.print(output, style);
  if (owners.empty()) output.write("  none\n");
}

void write_text_leaks(const DocumentRequest& request, Output& output) {
  const Summary& summary = request.analysis.summary;
  TextStyle style(request.color);
  uint64_t limit = request.limit.value_or(kDefaultRows);
  if (summary.totals.leaked_objects == 0) {
    output.print("{}: none\n", style.heading("Leaks"));
    return;
  }
  output.print("{}: {} in {} allocations that no root reaches, {} of the used bytes\n", style.heading("Leaks"),
               bytes_text(summary.totals.leaked_bytes), count_text(summary.totals.leaked_objects),
               share_text(summary.totals.leaked_bytes, summary.totals.used_bytes));
  if (summary.totals.garbage_objects != 0)
    output.print("  of these {} in {} are garbage that the collector has not freed yet, and no leaks\n",
                 bytes_text(summary.totals.garbage_bytes), count_text(summary.totals.garbage_objects));
  TextTable table({{"bytes", Align::right},
                   {"share", Align::right},
                   {"objects", Align::right},
                   {"leak roots", Align::right},
                   {"for example", Align::left},
                   {"type of the leak root"}});
  auto rows = first_rows(summary.leaks, limit);
  for (const LeakRow& leak : rows) {
    table.add({bytes_text(leak.bytes), share_text(leak.bytes, summary.totals.leaked_bytes), count_text(leak.objects),
               count_text(leak.roots), format_address(leak.example),
               (leak.is_garbage ? "garbage: " : "") + readable_type_name(leak.type)});
  }
  table.print(output, style);
  if (rows.size() < summary.leaks.size()) {
    output.print("  … and {} more: --limit 0 shows all\n", count_text(summary.leaks.size() - rows.size()));
  }
}

}  // namespace heapwalk
