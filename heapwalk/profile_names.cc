#include "heapwalk/profile_names.h"

#include <unordered_map>
#include <unordered_set>

namespace heapwalk {
namespace {

// Bytes of UTF-8 sequences count as letters, as they do in identifiers.
bool is_identifier(char c) {
  return c == '_' || c == '$' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         static_cast<unsigned char>(c) >= 0x80;
}

// The length of an operator's name that has angle brackets ("operator<<", "operator->"), else 0.
size_t bracket_operator_length(std::string_view text) {
  constexpr std::string_view kOperator = "operator";
  if (!text.starts_with(kOperator)) return 0;
  size_t end = kOperator.size();
  while (end < text.size() && (text[end] == '<' || text[end] == '>' || text[end] == '-' || text[end] == '=')) ++end;
  return end == kOperator.size() ? 0 : end;
}

}  // namespace

std::string shorten_type_name(std::string_view name) {
  constexpr std::string_view kAnonymous = "(anonymous namespace)::";
  std::string result;
  result.reserve(name.size());
  size_t depth = 0;  // of template arguments
  for (size_t at = 0; at < name.size();) {
    bool word_begins = at == 0 || !is_identifier(name[at - 1]);
    if (size_t length = word_begins ? bracket_operator_length(name.substr(at)) : 0; length > 0) {
      result += name.substr(at, length);
      at += length;
      continue;
    }
    if (depth > 0 && name.substr(at).starts_with(kAnonymous)) {
      at += kAnonymous.size();
      continue;
    }
    if (depth > 0 && is_identifier(name[at])) {
      size_t end = at;
      while (end < name.size() && is_identifier(name[end])) ++end;
      if (name.substr(end).starts_with("::")) {
        at = end + 2;
        continue;
      }
      result += name.substr(at, end - at);
      at = end;
      continue;
    }
    if (name[at] == '<') ++depth;
    if (name[at] == '>' && depth > 0) --depth;
    result += name[at++];
  }
  return result;
}

std::vector<std::string> profile_type_names(std::span<const std::string_view> names) {
  std::vector<std::string> result;
  result.reserve(names.size());
  std::unordered_map<std::string, std::string_view> full_of;  // a short name's first full name
  std::unordered_set<std::string> ambiguous;
  for (std::string_view name : names) {
    result.push_back(shorten_type_name(name));
    auto [at, is_new] = full_of.try_emplace(result.back(), name);
    if (!is_new && at->second != name) ambiguous.insert(result.back());
  }
  for (size_t i = 0; i < result.size(); ++i) {
    if (ambiguous.contains(result[i])) result[i] = names[i];
  }
  return result;
}

}  // namespace heapwalk
