// demangle() of symbols.h: the one door to LLVM's demanglers.
//
// A symbol's name is hostile input like everything else in a file, and a mangled name is a small program: it is parsed
// recursively, and its back references (`S_`, `T_`; Rust's `B…_`) let 200 characters stand for a text of gigabytes. So
// long names are left alone (a depth of one per character fits the stack), and a name with many references is first
// measured: its syntax tree, in which a reference is a shared node, tells the length of the text in linear time.
//
// Source: Itanium C++ ABI, 5.1 "External Names (a.k.a. Mangling)"; Rust RFC 2603 (v0).
#include <llvm/Demangle/Demangle.h>
#include <llvm/Demangle/ItaniumDemangle.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <memory_resource>
#include <type_traits>
#include <unordered_map>

#include "dump/symbols.h"

namespace heapwalk {
namespace {

namespace itanium = llvm::itanium_demangle;

constexpr size_t kMaxName = 4096;
constexpr uint64_t kMaxText = 1 << 22;
constexpr size_t kFewReferences = 8;       // 2^8 times the name is still small
constexpr size_t kMaxRustReferences = 16;  // at worst 2^16 times a part of the name

// What the parser template wants of an allocator. Nodes are never destroyed, their memory goes at once.
class NodeArena {
 public:
  void reset() { memory_.release(); }
  template <class T, class... Args>
  T* makeNode(Args&&... args) {
    return new (memory_.allocate(sizeof(T), alignof(T))) T(std::forward<Args>(args)...);
  }
  void* allocateNodeArray(size_t count) { return memory_.allocate(count * sizeof(itanium::Node*)); }

 private:
  std::pmr::monotonic_buffer_resource memory_;
};

// An upper bound of the text's length: what the node's parts need, each shared part measured once and counted where it
// is used.
class TextLength {
 public:
  uint64_t of(const itanium::Node* node) {
    if (node == nullptr) return 0;
    auto [entry, is_new] = known_.try_emplace(node, kPunctuation);  // met again while open: a cycle, prints once
    if (!is_new) return entry->second;
    uint64_t length = kPunctuation;
    node->visit([&](const auto* concrete) { length = of_parts(concrete); });
    return known_[node] = std::min(length, kMaxText + 1);
  }

 private:
  static constexpr uint64_t kPunctuation = 64;  // the longest fixed text of a node, "std::basic_iostream<char, …>"

  template <class NodeKind>
  uint64_t of_parts(const NodeKind* node) {
    if constexpr (std::is_same_v<NodeKind, itanium::ForwardTemplateReference>) {
      return of(node->Ref);
    } else {
      uint64_t length = kPunctuation;
      node->match([&](const auto&... parts) { length += (uint64_t{0} + ... + of_part(parts)); });
      if constexpr (std::is_same_v<NodeKind, itanium::ParameterPack>) longest_pack_ = std::max(longest_pack_, length);
      // Expanding repeats the pattern once for each element of a pack inside it, and a pack's length bounds its count.
      if constexpr (std::is_same_v<NodeKind, itanium::ParameterPackExpansion>) length *= longest_pack_ / kPunctuation;
      return length;
    }
  }

  template <class Part>
  uint64_t of_part(const Part& part) {
    if constexpr (std::is_convertible_v<Part, const itanium::Node*>) {
      return of(part);
    } else if constexpr (std::is_same_v<Part, itanium::NodeArray>) {
      uint64_t length = 0;
      for (const itanium::Node* node : part) length += 2 + of(node);
      return length;
    } else if constexpr (std::is_same_v<Part, std::string_view>) {
      return part.size();
    } else {
      return 0;  // flags and numbers: punctuation
    }
  }

  std::unordered_map<const itanium::Node*, uint64_t> known_;
  uint64_t longest_pack_ = kPunctuation;
};

size_t count_references(std::string_view name, std::string_view starts) {
  size_t count = 0;
  for (size_t i = 0; i + 1 < name.size(); ++i) {
    char next = name[i + 1];
    bool numbered =
        next == '_' || (next >= '0' && next <= '9') || (next >= 'A' && next <= 'Z') || (next >= 'a' && next <= 'z');
    if (starts.find(name[i]) != std::string_view::npos && numbered) ++count;
  }
  return count;
}

bool has_bounded_text(std::string_view name) {
  if (count_references(name, "ST") <= kFewReferences) return true;
  itanium::ManglingParser<NodeArena> parser(name.data(), name.data() + name.size());
  const itanium::Node* tree = parser.parse();
  return tree != nullptr && TextLength().of(tree) <= kMaxText;
}

// Rust's legacy scheme is the Itanium one with a last part `17h` and sixteen hexadecimal digits: a hash, not a name.
bool ends_in_rust_hash(std::string_view name) {
  constexpr size_t kHashPart = 3 + 16 + 1;  // "17h", digits, "E"
  if (name.size() < kHashPart || !name.ends_with('E')) return false;
  std::string_view part = name.substr(name.size() - kHashPart);
  return part.starts_with("17h") && part.substr(3, 16).find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// The legacy scheme writes what C++ names cannot hold as `$LT$`, `..` and the like.
std::string unescape_rust(std::string_view text) {
  struct Escape {
    std::string_view code;
    std::string_view text;
  };
  static constexpr Escape kEscapes[] = {{"$LT$", "<"},  {"$GT$", ">"},  {"$RF$", "&"},  {"$BP$", "*"},
                                        {"$LP$", "("},  {"$RP$", ")"},  {"$C$", ","},   {"$SP$", "@"},
                                        {"$u20$", " "}, {"$u27$", "'"}, {"$u5b$", "["}, {"$u5d$", "]"},
                                        {"$u7b$", "{"}, {"$u7d$", "}"}, {"$u7e$", "~"}, {"..", "::"}};
  std::string result;
  while (!text.empty()) {
    auto escape = std::ranges::find_if(kEscapes, [&](const Escape& e) { return text.starts_with(e.code); });
    if (escape != std::ranges::end(kEscapes)) {
      result += escape->text;
      text.remove_prefix(escape->code.size());
    } else {
      // `_$LT$` begins a part that would otherwise begin with `$`.
      bool filler = text.starts_with("_$") && (result.empty() || result.ends_with("::"));
      if (!filler) result += text.front();
      text.remove_prefix(1);
    }
  }
  return result;
}

}  // namespace

std::string demangle(std::string_view name) {
  if (name.size() > kMaxName) return std::string(name);
  auto take = [&](char* text) {
    std::unique_ptr<char, void (*)(void*)> owner(text, std::free);
    return text == nullptr ? std::string(name) : std::string(text);
  };
  if (name.starts_with("_R")) {
    return count_references(name, "B") > kMaxRustReferences ? std::string(name)
                                                            : take(llvm::rustDemangle(std::string(name).c_str()));
  }
  if (!name.starts_with("_Z") || !has_bounded_text(name)) return std::string(name);
  // llvm::itaniumDemangle has another signature in LLVM 16; the class has the same in all.
  const std::string mangled(name);  // what is parsed borrows from it
  llvm::ItaniumPartialDemangler parsed;
  if (parsed.partialDemangle(mangled.c_str())) return std::string(name);
  std::string text = take(parsed.finishDemangle(nullptr, nullptr));
  if (!ends_in_rust_hash(name)) return text;
  size_t hash = text.rfind("::h");
  return unescape_rust(std::string_view(text).substr(0, hash));
}

std::string demangle_function(std::string_view name) {
  if (name.size() > kMaxName || !name.starts_with("_Z") || !has_bounded_text(name)) return demangle(name);
  const std::string text(name);  // what is parsed borrows from it
  llvm::ItaniumPartialDemangler parsed;
  if (parsed.partialDemangle(text.c_str()) || !parsed.isFunction()) return demangle(name);
  auto take = [](char* part) {
    std::string result = part == nullptr ? "" : part;
    std::free(part);
    return result;
  };
  std::string context = take(parsed.getFunctionDeclContextName(nullptr, nullptr));
  std::string base = take(parsed.getFunctionBaseName(nullptr, nullptr));
  if (base.empty() || ends_in_rust_hash(name)) return demangle(name);
  return context.empty() ? base : context + "::" + base;
}

}  // namespace heapwalk
