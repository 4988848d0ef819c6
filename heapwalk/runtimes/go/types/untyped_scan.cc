#include "heapwalk/runtimes/go/types/untyped_scan.h"

#include <algorithm>

namespace heapwalk::go {
namespace {

constexpr uint64_t kMaxScanned = uint64_t{1} << 20;  // bytes of one object

}  // namespace

void UntypedScan::object(AddressRange slot, std::vector<Lead>& leads) {
  const Span* span = pointers_.span_of(slot.begin);
  if (span == nullptr || span->noscan) return;
  const Address first = slot.begin + (span->has_headers ? kHeaderBytes : 0);
  if (const auto code = memory_->read_pointer(first); code && closures_->contains(*code))
    leads.push_back({.value = first, .how = Lead::How::made_closure});
  words_.clear();
  const AddressRange window{slot.begin, slot.begin + std::min(slot.size_bytes(), kMaxScanned)};
  if (pointers_.read(slot, window, words_)) words(words_, leads);
}

// The first word of an interface is no pointer to the collector: types and itabs are kept alive otherwise.
void UntypedScan::words(std::span<const Address> words, std::vector<Lead>& leads) const {
  for (Address word : words) {
    const Address type = memory_->read_pointer(word - 8).value_or(Address{});
    const DynamicTypes::Dynamic* dynamic = dynamic_->find(type, false);
    if (dynamic == nullptr) dynamic = dynamic_->find(type, true);
    if (dynamic == nullptr) continue;
    const size_t before = leads.size();
    walk_->follow(*dynamic, memory_->read_pointer(word).value_or(Address{}), dynamic->is_direct, leads);
    for (size_t lead = before; lead < leads.size(); ++lead) leads[lead].is_guess = true;
  }
}

}  // namespace heapwalk::go
