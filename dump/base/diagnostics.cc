#include "dump/base/diagnostics.h"

#include <utility>

namespace heapwalk {

void Diagnostics::add(std::string_view code, std::string text, uint64_t count) {
  if (count == 0) return;
  size_t texts = 0;
  Diagnostic* last = nullptr;
  for (Diagnostic& entry : entries_) {
    if (entry.code != code) continue;
    ++texts;
    last = &entry;
    if (entry.text == text) break;
  }
  if (last != nullptr && (last->text == text || texts >= kTextsPerCode)) {
    last->count += count;
    return;
  }
  entries_.push_back({std::string(code), std::move(text), count});
}

void Diagnostics::merge(const Diagnostics& other) {
  for (const Diagnostic& entry : other.entries_) add(entry.code, entry.text, entry.count);
}

uint64_t Diagnostics::count(std::string_view code) const {
  uint64_t total = 0;
  for (const Diagnostic& entry : entries_)
    if (entry.code == code) total += entry.count;
  return total;
}

}  // namespace heapwalk
