#include "tests/support/go_heap_dump.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>

namespace heapwalk::test {
namespace {

enum Tag : uint64_t {
  kEnd,
  kObject,
  kOtherRoot,
  kType,
  kGoroutine,
  kFrame,
  kParameters,
  kFinalizer,
  kItab,
  kThread,
  kMemStats,
  kQueuedFinalizer,
  kData,
  kBss,
  kDefer,
  kPanic,
  kSite,
  kSample,
};

// Numbers and byte ranges of the format; after a failure all are 0 and empty, and failed() says so.
class Reader {
 public:
  explicit Reader(Bytes bytes) : reader_(bytes) {}

  uint64_t number() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      auto byte = reader_.read<uint8_t>();
      if (!byte) break;
      value |= uint64_t{*byte & 0x7fu} << shift;
      if (*byte < 0x80) return value;
    }
    failed_ = true;
    return 0;
  }
  Address address() { return Address(number()); }
  Bytes bytes() {
    auto content = reader_.read_bytes(number());
    failed_ |= !content;
    return content.value_or(Bytes());
  }
  std::string text() {
    Bytes content = bytes();
    return {reinterpret_cast<const char*>(content.data()), content.size()};
  }
  void fields(std::vector<uint64_t>& offsets) {
    while (uint64_t kind = number()) {
      failed_ |= kind != 1;  // interfaces are no longer written
      offsets.push_back(number());
      if (failed_) return;
    }
  }
  void skip(int numbers) {
    for (int i = 0; i < numbers; ++i) number();
  }
  bool failed() const { return failed_; }
  size_t offset() const { return reader_.offset(); }

 private:
  ByteReader reader_;
  bool failed_ = false;
};

void read_object(Reader& reader, GoHeapDump& dump) {
  GoHeapDump::Object object;
  object.address = reader.address();
  object.contents = reader.bytes();
  object.first_field = dump.fields.size();
  reader.fields(dump.fields);
  object.field_count = dump.fields.size() - object.first_field;
  dump.objects.push_back(object);
}

GoHeapDump::Goroutine read_goroutine(Reader& reader) {
  GoHeapDump::Goroutine goroutine;
  goroutine.address = reader.address();
  reader.number();  // stack pointer
  goroutine.id = reader.number();
  goroutine.created_at = reader.number();
  goroutine.status = reader.number();
  goroutine.is_system = reader.number() != 0;
  reader.number();
  goroutine.waiting_since = reader.number();
  goroutine.wait_reason = reader.text();
  goroutine.context = reader.address();
  goroutine.thread = reader.address();
  goroutine.deferred = reader.address();
  goroutine.panicking = reader.address();
  return goroutine;
}

GoHeapDump::Frame read_frame(Reader& reader) {
  GoHeapDump::Frame frame;
  frame.stack_pointer = reader.address();
  frame.depth = reader.number();
  reader.number();  // the callee's stack pointer
  frame.contents = reader.bytes();
  frame.entry = reader.address();
  frame.pc = reader.address();
  reader.number();  // where it would continue
  frame.function = reader.text();
  reader.fields(frame.pointer_offsets);
  return frame;
}

GoHeapDump::Finalizer read_finalizer(Reader& reader, bool is_queued) {
  GoHeapDump::Finalizer finalizer;
  finalizer.object = reader.address();
  finalizer.function = reader.address();
  finalizer.code = reader.address();
  reader.skip(2);  // types
  finalizer.is_queued = is_queued;
  return finalizer;
}

GoHeapDump::Segment read_segment(Reader& reader) {
  GoHeapDump::Segment segment;
  segment.address = reader.address();
  segment.contents = reader.bytes();
  reader.fields(segment.pointer_offsets);
  return segment;
}

GoHeapDump::Site read_site(Reader& reader) {
  GoHeapDump::Site site;
  site.bucket = reader.number();
  site.size = reader.number();
  for (uint64_t left = reader.number(); left > 0 && !reader.failed(); --left) {
    GoHeapDump::Site::Line line;
    line.function = reader.text();
    line.file = reader.text();
    line.line = reader.number();
    site.stack.push_back(std::move(line));
  }
  site.allocs = reader.number();
  site.frees = reader.number();
  return site;
}

void read_parameters(Reader& reader, GoHeapDump& dump) {
  reader.skip(4);  // byte order, size of pointers, bounds of the arenas
  dump.architecture = reader.text();
  dump.version = reader.text();
  reader.number();
}

// False at the end, at an unknown tag, and when the bytes end early.
bool read_record(Reader& reader, GoHeapDump& dump) {
  uint64_t tag = reader.number();
  switch (tag) {
    case kObject:
      read_object(reader, dump);
      break;
    case kOtherRoot:
      reader.text(), reader.number();
      break;
    case kType:
      reader.skip(2), reader.text(), reader.number();
      break;
    case kGoroutine:
      dump.goroutines.push_back(read_goroutine(reader));
      break;
    case kFrame:
      if (dump.goroutines.empty()) return false;
      dump.goroutines.back().frames.push_back(read_frame(reader));
      break;
    case kParameters:
      read_parameters(reader, dump);
      break;
    case kFinalizer:
    case kQueuedFinalizer:
      dump.finalizers.push_back(read_finalizer(reader, tag == kQueuedFinalizer));
      break;
    case kItab:
      reader.skip(2);
      break;
    case kThread:
      reader.skip(3);
      break;
    case kMemStats:
      for (int i = 0; i < 24 + 256 + 1; ++i) dump.memstats.push_back(reader.number());
      break;
    case kData:
      dump.data = read_segment(reader);
      break;
    case kBss:
      dump.bss = read_segment(reader);
      break;
    case kDefer:
      reader.skip(7);
      break;
    case kPanic:
      reader.skip(6);
      break;
    case kSite:
      dump.sites.push_back(read_site(reader));
      break;
    case kSample: {
      Address object = reader.address();
      dump.samples.push_back({object, reader.number()});
      break;
    }
    default:
      return false;
  }
  return !reader.failed();
}

// Bytes at the end of spans of small objects that hold no objects, by release and whether the objects have pointers.
uint64_t reserved_bytes(int minor, bool has_green_tea, bool has_pointers, uint64_t object_size) {
  constexpr uint64_t kHeapBits = 128, kInlineMarks = 128;
  if (minor < 22 || object_size > 512) return 0;
  return (has_pointers ? kHeapBits : 0) + (has_green_tea && object_size >= 16 ? kInlineMarks : 0);
}

void drop_phantoms(GoHeapDump& dump) {
  int minor = 0;
  if (sscanf(dump.version.c_str(), "go1.%d", &minor) != 1) return;
  bool has_green_tea = minor >= 26;
  if (minor == 25) has_green_tea = dump.version.find("greenteagc") != std::string::npos;
  if (dump.version.find("nogreenteagc") != std::string::npos) has_green_tea = false;
  constexpr uint64_t kPage = 8192;  // all spans of objects up to 512 bytes have one
  std::map<Address, bool> has_pointers;
  for (const auto& object : dump.objects) has_pointers[object.address.align_down(kPage)] |= object.field_count > 0;
  size_t before = dump.objects.size();
  std::erase_if(dump.objects, [&](const GoHeapDump::Object& object) {
    Address page = object.address.align_down(kPage);
    uint64_t size = object.contents.size();
    uint64_t reserved = reserved_bytes(minor, has_green_tea, has_pointers[page], size);
    return reserved > 0 && object.address - page + size > kPage - reserved;
  });
  dump.phantoms = before - dump.objects.size();
}

}  // namespace

const GoHeapDump::Object* GoHeapDump::find(Address address) const {
  auto after = std::ranges::upper_bound(objects, address, {}, &Object::address);
  if (after == objects.begin()) return nullptr;
  const Object& object = *std::prev(after);
  return address - object.address < object.contents.size() ? &object : nullptr;
}

uint64_t GoHeapDump::object_bytes() const {
  uint64_t total = 0;
  for (const Object& object : objects) total += object.contents.size();
  return total;
}

Result<GoHeapDump> read_go_heap_dump(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail("{}: cannot be opened", path);
  GoHeapDump dump;
  dump.file.assign(std::istreambuf_iterator<char>(file), {});
  constexpr std::string_view kMagic = "go1.7 heap dump\n";
  if (!std::string_view(dump.file.data(), dump.file.size()).starts_with(kMagic))
    return fail("{}: no heap dump of Go's", path);
  Bytes bytes = std::as_bytes(std::span(dump.file)).subspan(kMagic.size());
  Reader reader(bytes);
  while (read_record(reader, dump)) {
  }
  if (reader.failed() || reader.offset() != bytes.size())
    return fail("{}: no record that can be read ends at byte {}", path, kMagic.size() + reader.offset());
  if (dump.memstats.empty()) return fail("{}: no memstats", path);
  std::ranges::sort(dump.objects, {}, &GoHeapDump::Object::address);
  drop_phantoms(dump);
  return dump;
}

}  // namespace heapwalk::test
