#include "tests/support/typed_memory.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include "heapwalk/types/type_inference.h"

namespace heapwalk::test {

TypeId TypedMemory::record(std::string_view name, uint64_t size_bytes, const std::vector<Member>& members,
                           std::vector<TypeId> arguments) {
  const TypeId id = types.open(TypeKind::record, name, size_bytes).id;
  std::vector<Field> fields;
  for (const Member& member : members)
    fields.push_back({.name = member.name, .type = member.type, .offset_bytes = member.offset_bytes});
  if (types.fill(id, std::move(fields), std::move(arguments)) != 0) std::abort();
  return id;
}

uint64_t TypedMemory::allocate(uint64_t size_bytes) {
  const uint64_t at =
      blocks_.empty() ? kHeap + 16 : blocks_.back().address + ((blocks_.back().size_bytes + 23) & ~15ULL);
  if (at + size_bytes > kHeap + kBytes) std::abort();
  blocks_.push_back({at, size_bytes});
  return at;
}

uint64_t TypedMemory::variable(std::string_view name, TypeId type) {
  const uint64_t at = data_end_;
  const uint64_t size_bytes = types.table().size_bytes(type);
  data_end_ += (size_bytes + 15) & ~15ULL;
  if (data_end_ > kData + kBytes) std::abort();
  Root root;
  root.kind = RootKind::global;
  root.name = root.stable_name = name;
  root.type = type;
  root.location = AddressRange::of(Address{at}, size_bytes);
  roots_.roots.push_back(std::move(root));
  const TypeKind kind = types.table()[type].kind;
  if (kind == TypeKind::record || kind == TypeKind::array) roots_.variables.push_back({Address{at}, type});
  return at;
}

void TypedMemory::put(uint64_t at, std::initializer_list<uint64_t> words) {
  for (uint64_t word : words) {
    const bool is_heap = at >= kHeap;
    const uint64_t offset = at - (is_heap ? kHeap : kData);
    if (offset + sizeof word > kBytes) std::abort();
    std::memcpy((is_heap ? heap_ : data_).data() + offset, &word, sizeof word);
    at += sizeof word;
  }
}

std::unique_ptr<const TypedProcess> TypedMemory::infer() {
  auto process = std::make_unique<TypedProcess>();
  auto storage = std::make_shared<std::pair<std::vector<std::byte>, std::vector<std::byte>>>(data_, heap_);
  process->dump.memory = AddressSpace(
      std::vector<Region>{{AddressRange::of(Address{kData}, kBytes), ByteState::core, storage->first.data()},
                          {AddressRange::of(Address{kHeap}, kBytes), ByteState::core, storage->second.data()}});
  process->dump.storage = storage;
  std::vector<AllocationSink> sinks;
  sinks.emplace_back(AddressRange::of(Address{kHeap}, kBytes), uint8_t{0}, 16);
  for (const Block& block : blocks_) sinks[0].add(Address{block.address}, block.size_bytes, AllocationState::used);
  process->objects = ObjectIndex::build(std::move(sinks), process->diagnostics);
  if (process->objects.size() != blocks_.size()) std::abort();
  process->roots = roots_;
  process->types = infer_types(process->dump, process->objects, process->roots, std::move(types).finish(), {}, {}, 1,
                               process->diagnostics);
  return process;
}

std::string TypedProcess::name_at(uint64_t address) const {
  const auto object = objects.find_used(Address{address});
  return object ? std::string(types->name(types->type_of(objects, *object).type)) : "nothing";
}

TypeEvidence TypedProcess::evidence_at(uint64_t address) const {
  const auto object = objects.find_used(Address{address});
  return object ? types->type_of(objects, *object).evidence : TypeEvidence::none;
}

}  // namespace heapwalk::test
