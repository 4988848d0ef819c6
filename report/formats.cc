#include "report/formats.h"

#include <algorithm>

#include "report/documents.h"

namespace heapwalk {
namespace {

constexpr FormatEntry kFormats[] = {
    {"report", "text", write_text_report},
    {"report", "json", write_json_report},
    {"report", "tsv", write_tsv_report},
    {"objects", "text", write_text_objects},
    {"objects", "json", write_json_objects},
    {"objects", "tsv", write_tsv_objects},
    {"roots", "text", write_text_roots},
    {"roots", "json", write_json_roots},
    {"roots", "tsv", write_tsv_roots},
    {"leaks", "text", write_text_leaks},
    {"leaks", "json", write_json_leaks},
    {"leaks", "tsv", write_tsv_leaks},
    {"why", "text", write_text_why},
    {"why", "json", write_json_why},
    {"why", "tsv", write_tsv_why},
    {"info", "text", write_text_info},
    {"info", "json", write_json_info},
    {"info", "tsv", write_tsv_info},
    {"types", "text", write_text_types},
    {"types", "json", write_json_types},
    {"types", "tsv", write_tsv_types},
    {"why_type", "text", write_text_why_type},
    {"why_type", "json", write_json_why_type},
    {"why_type", "tsv", write_tsv_why_type},
    {"show", "text", write_text_show},
    {"show", "json", write_json_show},
    {"show", "tsv", write_tsv_show},
};

}  // namespace

std::span<const FormatEntry> format_registry() {
  return kFormats;
}

WriteDocument find_document(std::string_view command, std::string_view format) {
  for (const FormatEntry& entry : kFormats) {
    if (entry.command == command && entry.format == format) return entry.write;
  }
  return nullptr;
}

std::vector<TypeRow> sorted_types(const Analysis& analysis, TypeSort sort) {
  std::vector<TypeRow> types = analysis.summary.types;
  uint64_t TypeRow::* const keys[] = {&TypeRow::bytes, &TypeRow::count, &TypeRow::retained_bytes};
  std::ranges::stable_sort(types, std::greater<>(), keys[static_cast<size_t>(sort)]);
  return types;
}

bool owner_matches(std::string_view owner, std::string_view filter) {
  return filter.empty() || owner.find(filter) != std::string_view::npos;
}

}  // namespace heapwalk
