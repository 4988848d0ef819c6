#include "report/formats.h"

#include "report/documents.h"

namespace heapwalk {
namespace {

constexpr FormatEntry kFormats[] = {
    {"report", "text", write_text_report},   {"report", "json", write_json_report},
    {"report", "tsv", write_tsv_report},     {"objects", "text", write_text_objects},
    {"objects", "json", write_json_objects}, {"objects", "tsv", write_tsv_objects},
    {"roots", "text", write_text_roots},     {"roots", "json", write_json_roots},
    {"roots", "tsv", write_tsv_roots},       {"leaks", "text", write_text_leaks},
    {"leaks", "json", write_json_leaks},     {"leaks", "tsv", write_tsv_leaks},
    {"why", "text", write_text_why},         {"why", "json", write_json_why},
    {"why", "tsv", write_tsv_why},           {"info", "text", write_text_info},
    {"info", "json", write_json_info},       {"info", "tsv", write_tsv_info},
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

bool owner_matches(std::string_view owner, std::string_view filter) {
  return filter.empty() || owner.find(filter) != std::string_view::npos;
}

}  // namespace heapwalk
