// Which question is answered in which format: the registry of documents.
//
// A document is one function that prints what the analysis holds; it computes nothing. A new format, or a new question, is
// one source file and its lines in the table of formats.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "heapwalk/analysis.h"
#include "heapwalk/object_rows.h"
#include "heapwalk/show.h"
#include "heapwalk/why.h"
#include "heapwalk/why_type.h"
#include "report/output.h"

namespace heapwalk {

enum class TypeSort : uint8_t { bytes, count, retained };  // descending

// What a document prints, and how. Only `analysis` is always there.
struct DocumentRequest {
  const Analysis& analysis;
  std::optional<uint64_t> limit;   // rows of each list; 0: all; not set: what the format thinks fit
  bool color = false;              // text may use terminal colours
  std::string owner;               // roots: only those whose owner's name contains this
  ObjectQuery objects;             // objects
  const WhyAnswer* why = nullptr;  // why
  const WhyTypeAnswer* why_type = nullptr;
  const ShowAnswer* show = nullptr;
  TypeSort type_sort = TypeSort::bytes;  // types
};

using WriteDocument = void (*)(const DocumentRequest&, Output&);

struct FormatEntry {
  std::string_view command;  // "report"; "why_type" for `why --type`
  std::string_view format;   // "text"
  WriteDocument write;
};

std::span<const FormatEntry> format_registry();
// Null when there is no such document.
WriteDocument find_document(std::string_view command, std::string_view format);

// The first `limit` rows (0: all).
template <class Row>
std::span<const Row> first_rows(const std::vector<Row>& rows, uint64_t limit) {
  return std::span<const Row>(rows).first(limit == 0 || limit > rows.size() ? rows.size() : limit);
}

std::vector<TypeRow> sorted_types(const Analysis& analysis, TypeSort sort);

// Owner filter of `roots`: an empty filter matches all.
bool owner_matches(std::string_view owner, std::string_view filter);

}  // namespace heapwalk
