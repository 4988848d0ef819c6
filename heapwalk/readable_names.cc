#include "heapwalk/readable_names.h"

#include <array>

namespace heapwalk {
namespace {

// Arguments that are nearly always the default ones.
constexpr auto kDefaults = std::to_array<std::string_view>({
    ", std::allocator<",
    ", std::char_traits<",
    ", std::less<",
    ", std::hash<",
    ", std::equal_to<",
    ", std::default_delete<",
    ", std::__1::allocator<",
    ", std::__1::char_traits<",
    ", std::__1::less<",
    ", std::__1::hash<",
    ", std::__1::equal_to<",
    ", std::__1::default_delete<",
    ", alloc::alloc::Global",
});

// Where the argument that begins at `at` with ", X<" ends: behind its last bracket. npos: the brackets do not match.
size_t end_of_argument(std::string_view name, size_t at, std::string_view prefix) {
  size_t end = at + prefix.size();
  if (!prefix.ends_with('<')) return end;
  for (size_t depth = 1; end < name.size(); ++end) {
    if (name[end] == '<') ++depth;
    if (name[end] == '>' && --depth == 0) return end + 1;
  }
  return std::string_view::npos;
}

std::string without_defaults(std::string_view name) {
  std::string result;
  for (size_t at = 0; at < name.size();) {
    size_t end = at;
    if (name[at] == ',') {
      for (std::string_view prefix : kDefaults) {
        if (name.substr(at).starts_with(prefix)) end = end_of_argument(name, at, prefix);
        if (end != at) break;
      }
    }
    if (end == std::string_view::npos || end == at) {
      result += name[at++];
    } else {
      at = end;
    }
  }
  return result;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

bool is_path_character(char c) {
  const bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  return is_word || std::string_view("/._-~%+@").find(c) != std::string_view::npos;
}

// Without what stands before the last slash of each `path/of/package.Name`. Paths of files, from the root on, stay.
std::string without_import_paths(std::string_view name) {
  std::string result;
  for (size_t at = 0; at < name.size();) {
    size_t end = at;
    while (end < name.size() && is_path_character(name[end])) ++end;
    std::string_view token = name.substr(at, end - at);
    const size_t slash = token.rfind('/');
    if (slash != std::string_view::npos && token.front() != '/' && token.find('.', slash) != std::string_view::npos)
      token.remove_prefix(slash + 1);
    result += token;
    at = end;
    if (at < name.size()) result += name[at++];
  }
  return result;
}

}  // namespace

std::string readable_type_name(std::string_view name) {
  std::string result = without_defaults(name);
  replace_all(result, "std::__cxx11::", "std::");
  replace_all(result, "std::__1::", "std::");
  replace_all(result, " >", ">");
  replace_all(result, "std::basic_string<char>", "std::string");
  replace_all(result, "std::basic_string_view<char>", "std::string_view");
  if (result.find('/') != std::string::npos) result = without_import_paths(result);
  return result;
}

std::string_view readable_source(std::string_view source) {
  for (std::string_view root : {"/pkg/mod/", "/go/src/"}) {
    const size_t at = source.find(root);
    if (at != std::string_view::npos) return source.substr(at + root.size());
  }
  return source;
}

}  // namespace heapwalk
