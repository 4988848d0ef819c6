// A recorded Go core that a test damages and heals again: where the run-time's structures are in it while they are whole, and
// words of it, or of its program, to be overwritten by the structure's field.
//
//     patient.poke(patient.small_span(), Field::mspan_elemsize, 0);
//     auto analysis = patient.analyze();
//     patient.heal();
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "heapwalk/analysis.h"
#include "heapwalk/runtimes/go/heap/heap.h"
#include "heapwalk/runtimes/go/types/type_list.h"
#include "tests/support/overwritten_file.h"
#include "tests/support/recorded_core.h"

namespace heapwalk::go {

using test::OverwrittenFile;
using test::RecordedCore;

class Patient {
 public:
  explicit Patient(int minor) : recorded_(minor) {
    if (!recorded_.error().empty()) return;
    core_ = std::make_unique<OverwrittenFile>(recorded_.core_path());
    binary_ = std::make_unique<OverwrittenFile>(recorded_.binary());
    auto dump = open_core_dump(recorded_.core_path(), {.binary = recorded_.binary()});
    if (!dump) return;
    dump_ = std::make_unique<CoreDump>(*std::move(dump));
    Diagnostics ignored;
    process_ = find_process(*dump_, ignored);
    if (!process_) return;
    const auto list = read_slice(dump_->memory, at(Field::mheap_allspans));
    for (uint64_t i = 0; list && i < list->length; ++i)
      spans_.push_back(*dump_->memory.read_pointer(list->data + i * 8));
    types_ = list_types(dump_->memory, *process_, ignored).types;
    auto honest = analyze();
    if (honest) honest_ = std::make_unique<Analysis>(*std::move(honest));
  }

  const std::string& error() const { return recorded_.error(); }
  bool is_ready() const { return honest_ != nullptr; }
  const Analysis& honest() const { return *honest_; }
  const Process& process() const { return *process_; }
  const Layout& layout() const { return process_->layout; }
  const AddressSpace& memory() const { return dump_->memory; }
  std::span<const Address> spans() const { return spans_; }
  std::span<const Address> types() const { return types_; }

  Address at(Field of_mheap) const { return process_->mheap + layout().offset(of_mheap); }
  Address variable(const char* name) const { return process_->variable(name).value_or(Address{}); }
  Address pointer(Address word) const { return memory().read_pointer(word).value_or(Address{}); }
  uint64_t number(Address structure, Field field) const {
    uint64_t value = 0;
    const Bytes bytes = memory().read_exactly(structure + layout().offset(field), layout().width(field));
    if (bytes.size() <= 8) std::copy(bytes.begin(), bytes.end(), reinterpret_cast<std::byte*>(&value));
    return value;
  }
  // The span in use with the most slots that `is_wanted(noscan, element size)`.
  template <class F>
  Address span_with(F is_wanted) const {
    Address best;
    uint64_t most = 0;
    for (Address span : spans_) {
      const uint64_t slots = number(span, Field::mspan_nelems);
      if (number(span, Field::mspan_state) != 1 || slots <= most) continue;
      if (!is_wanted((number(span, Field::mspan_spanclass) & 1) != 0, number(span, Field::mspan_elemsize))) continue;
      most = slots;
      best = span;
    }
    return best;
  }
  Address small_span() const {
    return span_with([](bool noscan, uint64_t size) { return !noscan && size >= 48 && size <= 512; });
  }
  Address large_span() const {
    return span_with([](bool, uint64_t size) { return size > 900'000; });
  }
  // The first note of a span that has several.
  Address special() const {
    for (Address span : spans_) {
      const Address first = pointer(span + layout().offset(Field::mspan_specials));
      if (number(span, Field::mspan_state) == 1 && first && pointer(first + layout().offset(Field::special_next)))
        return first;
    }
    return {};
  }
  Address goroutine(uint64_t i) const { return pointer(pointer(variable("runtime.allgs")) + i * 8); }
  Address parked_goroutine() const {
    for (uint64_t i = 0; i < 100; ++i)
      if (const Address g = goroutine(i); g && (number(g, Field::g_atomicstatus) & 0xfff) == 4) return g;
    return {};
  }

  // In the core, else in the program.
  bool poke(Address address, uint64_t value, size_t size_bytes = 8) {
    return core_->write(address, value, size_bytes) || binary_->write(address, value, size_bytes);
  }
  bool poke(Address structure, Field field, uint64_t value) {
    return poke(structure + layout().offset(field), value, std::min<size_t>(layout().width(field), 8));
  }
  void heal() {
    core_->restore();
    binary_->restore();
  }
  Result<Analysis> analyze() const {
    return heapwalk::analyze(recorded_.core_path(),
                             {.core = {.binary = recorded_.binary()}, .threads = 2, .on_stage = {}});
  }

 private:
  RecordedCore recorded_;
  std::unique_ptr<OverwrittenFile> core_, binary_;
  std::unique_ptr<CoreDump> dump_;
  std::optional<Process> process_;
  std::vector<Address> spans_, types_;
  std::unique_ptr<Analysis> honest_;
};

}  // namespace heapwalk::go
