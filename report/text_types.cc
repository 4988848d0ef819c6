// `types` for people: the histogram, and how much of it is known by which evidence.
#include "heapwalk/bytes_text.h"
#include "heapwalk/readable_names.h"
#include "report/documents.h"
#include "report/text_table.h"

namespace heapwalk {
namespace {

constexpr uint64_t kDefaultRows = 50;
constexpr uint64_t kDefaultContainers = 20;

// "by evidence: runtime 12.0 %, container 60.1 %, …"
std::string evidence_text(const EvidenceBytes& evidence) {
  const uint64_t bytes[] = {evidence.runtime, evidence.container, evidence.pointer, evidence.field, evidence.none};
  uint64_t total = 0;
  for (uint64_t each : bytes) total += each;
  std::string text;
  for (size_t i = 0; i < std::size(bytes); ++i) {
    text += fmt::format("{}{} {}", i == 0 ? "" : ", ", to_string(static_cast<TypeEvidence>(i)),
                        share_text(bytes[i], total));
  }
  return text;
}

// "unused: 1.2 GB in 40 × std::vector<Foo>, Cache.items". Here and not in the report: who asks what the types cost is told
// what their containers waste.
void print_containers(const Summary& summary, uint64_t limit, Output& output, const TextStyle& style) {
  if (summary.containers.empty()) return;
  uint64_t unused_bytes = 0;
  for (const ContainerRow& row : summary.containers) unused_bytes += row.unused_bytes;
  output.print("\n{}: {} of their memory is not in use\n", style.heading("Containers"), bytes_text(unused_bytes));
  TextTable table({{"unused", Align::right},
                   {"containers", Align::right},
                   {"elements", Align::right},
                   {"empty, with memory", Align::right},
                   {"type", Align::left, 56},
                   {"in"}});
  const auto rows = first_rows(summary.containers, limit);
  for (const ContainerRow& row : rows) {
    table.add({bytes_text(row.unused_bytes), count_text(row.count), count_text(row.elements),
               count_text(row.empty_with_memory), readable_type_name(row.type), readable_type_name(row.holder)});
  }
  table.print(output, style);
  if (rows.size() < summary.containers.size())
    output.print("  … and {} more: --limit 0 shows all\n", count_text(summary.containers.size() - rows.size()));
}

}  // namespace

void write_text_types(const DocumentRequest& request, Output& output) {
  const Summary& summary = request.analysis.summary;
  TextStyle style(request.color);
  output.print("{}: {}; of their bytes by evidence: {}\n", style.heading("Types"), count_text(summary.types.size()),
               evidence_text(summary.evidence));
  TextTable table({{"bytes", Align::right},
                   {"share", Align::right},
                   {"objects", Align::right},
                   {"retained", Align::right},
                   {"type"}});
  const std::vector<TypeRow> types = sorted_types(request.analysis, request.type_sort);
  const auto rows = first_rows(types, request.limit.value_or(kDefaultRows));
  for (const TypeRow& row : rows) {
    table.add({bytes_text(row.bytes), share_text(row.bytes, summary.totals.used_bytes), count_text(row.count),
               bytes_text(row.retained_bytes), readable_type_name(row.name)});
  }
  table.print(output, style);
  if (table.empty()) output.write("  none\n");
  if (rows.size() < types.size())
    output.print("  … and {} more: --limit 0 shows all\n", count_text(types.size() - rows.size()));
  print_containers(summary, request.limit.value_or(kDefaultContainers), output, style);
}

}  // namespace heapwalk
