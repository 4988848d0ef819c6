// demangle() of symbols.h: the one door to LLVM's demanglers.
#include <llvm/Demangle/Demangle.h>

#include <cstdlib>
#include <memory>

#include "dump/symbols.h"

namespace heapwalk {
namespace {

// Rust's legacy scheme is the Itanium one with a last part `17h` and sixteen hexadecimal digits: a hash, not a name.
bool ends_in_rust_hash(std::string_view name) {
  constexpr size_t kHashPart = 3 + 16 + 1;  // "17h", digits, "E"
  if (name.size() < kHashPart || !name.ends_with('E')) return false;
  std::string_view part = name.substr(name.size() - kHashPart);
  return part.starts_with("17h") && part.substr(3, 16).find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

std::string demangle(std::string_view name) {
  constexpr size_t kMaxName = 4096;
  if (name.size() > kMaxName) return std::string(name);
  auto take = [&](char* text) {
    std::unique_ptr<char, void (*)(void*)> owner(text, std::free);
    return text == nullptr ? std::string(name) : std::string(text);
  };
  if (name.starts_with("_R")) return take(llvm::rustDemangle(name));
  if (!name.starts_with("_Z")) return std::string(name);
  std::string text = take(llvm::itaniumDemangle(name));
  if (ends_in_rust_hash(name)) {
    size_t hash = text.rfind("::h");
    if (hash != std::string::npos) text.resize(hash);
  }
  return text;
}

}  // namespace heapwalk
