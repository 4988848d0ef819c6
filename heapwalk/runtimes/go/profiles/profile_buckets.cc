#include "heapwalk/runtimes/go/profiles/profile_buckets.h"

#include <unordered_set>

#include "heapwalk/runtimes/go/program/record.h"

namespace heapwalk::go {
namespace {

constexpr uint64_t kMaxStack = 1024 + 16;  // the largest GODEBUG=profstackdepth, and what is skipped later

}  // namespace

std::optional<Bucket> read_bucket(const ProfileInputs& inputs, Address at, BucketType type) {
  const AddressSpace& memory = inputs.dump.memory;
  const Record bucket(memory, inputs.process.layout, at);
  const uint64_t header = inputs.process.layout.offset(Field::bucket_sizeof);
  const auto found_type = bucket.word(Field::bucket_typ);
  const auto size = bucket.word(Field::bucket_size);
  const auto depth = bucket.word(Field::bucket_nstk);
  if (found_type != static_cast<uint64_t>(type) || !size || !depth || *depth > kMaxStack) return std::nullopt;
  Bucket result;
  result.at = at;
  result.size_bytes = *size;
  result.stack.resize(*depth);
  if (!memory.copy(at + header, std::as_writable_bytes(std::span(result.stack)))) return std::nullopt;
  result.record = at + header + 8 * *depth;
  return result;
}

std::vector<Bucket> read_buckets(const ProfileInputs& inputs, Address head, BucketType type, Diagnostics& diagnostics) {
  const AddressSpace& memory = inputs.dump.memory;
  const Layout& layout = inputs.process.layout;
  std::vector<Bucket> buckets;
  std::unordered_set<Address> seen;  // the list of a damaged core may be cyclic
  for (Address at = memory.read_pointer(head).value_or(Address{}); at;) {
    auto bucket = seen.insert(at).second ? read_bucket(inputs, at, type) : std::nullopt;
    if (!bucket) {
      diagnostics.add("go_profile_bucket_unread",
                      fmt::format("the profile's bucket at {:#x} and those behind it could not be read", at.value));
      break;
    }
    buckets.push_back(*std::move(bucket));
    at = Record(memory, layout, at).pointer_or_null(Field::bucket_allnext);
  }
  return buckets;
}

}  // namespace heapwalk::go
