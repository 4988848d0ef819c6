// `types` for people: the histogram, and how much of it is known by which evidence.
#include "heapwalk/bytes_text.h"
#include "heapwalk/readable_names.h"
#include "report/documents.h"
#include "report/text_table.h"

namespace heapwalk {
namespace {

constexpr uint64_t kDefaultRows = 50;

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
}

}  // namespace heapwalk
