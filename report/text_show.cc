// `show` for people: the object in a few lines, its fields or bytes, and its neighbours.
#include "heapwalk/bytes_text.h"
#include "heapwalk/readable_names.h"
#include "report/documents.h"
#include "report/escape.h"
#include "report/process_facts.h"
#include "report/text_table.h"

namespace heapwalk {
namespace {

constexpr size_t kBytesPerLine = 16;

std::string_view stage_text(Stage stage, bool is_garbage) {
  switch (stage) {
    case Stage::exact:
    case Stage::conservative:
      return "reachable";
    case Stage::tainted:
      return "possibly live: only stale words lead to it";
    case Stage::leaked:
      return is_garbage ? "garbage not collected yet: no root reaches it" : "leaked: no root reaches it";
    case Stage::none:
      break;
  }
  return "not looked at";
}

void print_object(const ShowAnswer& answer, Output& output, const TextStyle& style) {
  const std::string address = format_address(answer.object.address);
  if (answer.object.state != AllocationState::used) {
    output.print("{}: block of {}, {}, {}\n", style.heading(address), answer.allocator,
                 bytes_text(answer.object.size_bytes), to_string(answer.object.state));
    return;
  }
  output.print("{}: {}, {}\n", style.heading(address), printable(readable_type_name(answer.type)),
               bytes_text(answer.object.size_bytes));
  output.print("  {}; block of {}; evidence of its type: {}\n", stage_text(answer.stage, answer.is_garbage),
               answer.allocator, to_string(answer.evidence));
  output.print("  with it would go {} in {} allocations\n", bytes_text(answer.retained_bytes),
               count_text(answer.retained_objects));
  if (answer.dominator) {
    const Neighbour& holder = *answer.dominator;
    std::string place = holder.kind.empty() ? "" : " (" + holder.kind + ")";
    if (holder.address.value != 0) place += " at " + format_address(holder.address);
    print_wrapped(output,
                  fmt::format("held by {}{}, which retains {}", holder.name, place, bytes_text(holder.retained_bytes)),
                  2, 4);
  } else if (answer.stage != Stage::leaked) {
    output.write("  no single holder: several roots share it\n");
  }
}

void print_fields(std::span<const FieldValue> fields, Output& output, const TextStyle& style) {
  output.print("\n{}\n", style.heading("Fields"));
  TextTable table({{"", Align::left, 32}, {"", Align::right}, {"", Align::left, 32}, {""}});
  for (const FieldValue& field : fields) {
    table.add({std::string(size_t{field.depth} * 2, ' ') + field.name,
               field.type.empty() ? "" : fmt::format("+{:#x}", field.offset_bytes), field.type, field.value});
  }
  table.print(output, style);
}

// "+0x0010  68 65 6c 6c 6f 00 …  hello."
void print_bytes(std::span<const uint8_t> bytes, uint64_t size_bytes, Output& output, const TextStyle& style) {
  output.print("\n{}{}\n", style.heading("Bytes"),
               bytes.size() < size_bytes ? fmt::format(" (the first {})", bytes.size()) : "");
  for (size_t at = 0; at < bytes.size(); at += kBytesPerLine) {
    std::string hex, text;
    for (size_t i = at; i < at + kBytesPerLine; ++i) {
      if (i % 8 == 0 && i != at) hex += ' ';
      hex += i < bytes.size() ? fmt::format(" {:02x}", bytes[i]) : "   ";
      if (i < bytes.size()) text += bytes[i] >= 0x20 && bytes[i] < 0x7f ? static_cast<char>(bytes[i]) : '.';
    }
    output.print("  +{:#06x} {}  {}\n", at, hex, text);
  }
}

void print_neighbours(std::string_view heading, std::span<const Neighbour> rows, uint64_t count, Output& output,
                      const TextStyle& style) {
  output.print("\n{}: {}\n", style.heading(heading), count == 0 ? "none" : count_text(count));
  TextTable table({{"address"}, {"field", Align::left, 30}, {"retained", Align::right}, {"edge"}, {"what"}});
  for (const Neighbour& row : rows) {
    table.add({row.address.value == 0 ? "" : format_address(row.address), row.field, bytes_text(row.retained_bytes),
               std::string(edge_name(row.edge)), row.kind.empty() ? row.name : row.kind + " " + row.name});
  }
  if (!table.empty()) table.print(output, style);
  if (rows.size() < count) output.print("  … and {} more: --limit 0 shows all\n", count_text(count - rows.size()));
}

}  // namespace

void write_text_show(const DocumentRequest& request, Output& output) {
  const ShowAnswer& answer = *request.show;
  TextStyle style(request.color);
  print_object(answer, output, style);
  if (!answer.fields.empty()) {
    print_fields(answer.fields, output, style);
  } else {
    print_bytes(answer.bytes, answer.object.size_bytes, output, style);
  }
  if (answer.object.state != AllocationState::used) return;
  print_neighbours("Referred to by", answer.referrers, answer.referrer_count, output, style);
  print_neighbours("Refers to", answer.references, answer.reference_count, output, style);
}

}  // namespace heapwalk
