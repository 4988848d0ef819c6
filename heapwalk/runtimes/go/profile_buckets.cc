#include "heapwalk/runtimes/go/profile_buckets.h"

#include <unordered_set>

#include "heapwalk/runtimes/go/record.h"

namespace heapwalk::go {
namespace {

constexpr uint64_t kMaxStack = 1024 + 16;  // the largest GODEBUG=profstackdepth, and what is skipped later

std::optional<Bucket> read_bucket(const AddressSpace& memory, const Record& bucket, BucketType type, uint64_t header) {
  const auto found_type = bucket.word(Field::bucket_typ);
  const auto size = bucket.word(Field::bucket_size);
  const auto depth = bucket.word(Field::bucket_nstk);
  if (found_type != static_cast<uint64_t>(type) || !size || !depth || *depth > kMaxStack) return std::nullopt;
  Bucket result;
  result.size_bytes = *size;
  result.stack.resize(*depth);
  if (!memory.copy(bucket.at() + header, std::as_writable_bytes(std::span(result.stack)))) return std::nullopt;
  result.record = bucket.at() + header + 8 * *depth;
  return result;
}

}  // namespace

std::vector<Bucket> read_buckets(const ProfileInputs& inputs, Address head, BucketType type, Diagnostics& diagnostics) {
  const AddressSpace& memory = inputs.dump.memory;
  const Layout& layout = inputs.process.layout;
  const uint64_t header = layout.offset(Field::bucket_sizeof);
  std::vector<Bucket> buckets;
  std::unordered_set<Address> seen;  // the list of a damaged core may be cyclic
  for (Address at = memory.read_pointer(head).value_or(Address{}); at;) {
    const Record record(memory, layout, at);
    auto bucket = seen.insert(at).second ? read_bucket(memory, record, type, header) : std::nullopt;
    if (!bucket) {
      diagnostics.add("go_profile_bucket_unread",
                      fmt::format("the profile's bucket at {:#x} and those behind it could not be read", at.value));
      break;
    }
    buckets.push_back(*std::move(bucket));
    at = record.pointer_or_null(Field::bucket_allnext);
  }
  return buckets;
}

}  // namespace heapwalk::go
