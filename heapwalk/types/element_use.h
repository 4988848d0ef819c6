// Which elements of an array its container uses, where that is not simply the first ones.
//
//     VecDeque  │ C │ D │ . │ . │ A │ B │     a ring: from `begin` on, around the end
//     deque     │ . │ . │ A │ B │ C │ . │     the same, without going around
//     RawTable  │ . │ B │ . │ A │ff│02│80│41│ … a bucket is full when its control byte, counted from the end, is below 0x80
//     raw_hash_set  │02│80│41│ff│ A │ . │ B │   the same, but the bytes come first, and in the elements' order
//
// What the others hold is stale.
// Offsets are from the object's start.
// Sources: Rust 1.95 library/alloc/src/collections/vec_deque; hashbrown's raw/mod.rs and control/tag.rs; abseil 20220623
// container/internal/raw_hash_set.h ("Table Layout").
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

namespace heapwalk {

struct ElementUse {
  enum class Form : uint8_t { leading, ring, buckets, slots };
  Form form = Form::leading;
  uint64_t bytes = UINT64_MAX;  // of the elements in use; of buckets and slots: of all
  uint64_t begin = 0;           // of a ring: where the first one is …
  uint64_t room = 0;            // … and where the ring ends; of slots: where the control bytes are

  // Where the last one in use may end.
  uint64_t end() const {
    if (form == Form::ring) return room;
    return form == Form::slots && bytes <= UINT64_MAX - begin ? begin + bytes : bytes;
  }

  // Whether the element at this offset is in use. The object's bytes are needed for buckets and slots only.
  bool covers(uint64_t at, uint64_t each, const std::byte* object, uint64_t object_bytes) const {
    if (form == Form::leading) return bytes >= each && at <= bytes - each;
    if (form == Form::ring) {
      if (at >= room || begin > room) return false;
      const uint64_t behind = at >= begin ? at - begin : at + (room - begin);
      return bytes >= each && behind <= bytes - each;
    }
    if (form == Form::slots) {
      if (at < begin || at - begin > bytes || bytes - (at - begin) < each) return false;
      const uint64_t number = (at - begin) / each;
      return room < object_bytes && number < object_bytes - room && static_cast<uint8_t>(object[room + number]) < 0x80;
    }
    const uint64_t control = ((bytes + 15) & ~uint64_t{15}) + (bytes - at) / each - 1;
    return at + each <= bytes && control < object_bytes && static_cast<uint8_t>(object[control]) < 0x80;
  }
};

// The uses of many objects. Nearly all are leading ones: those take a word each.
class ElementUses {
 public:
  void set(uint32_t object, const ElementUse& use, uint64_t object_bytes) {
    const uint64_t last = use.end();
    if (last < object_bytes) {
      ends_[object] = last;
    } else {
      ends_.erase(object);
    }
    if (!others_.empty()) others_.erase(object);
    if (use.form != ElementUse::Form::leading) others_.emplace(object, use);
  }
  // Where the last one in use may end.
  uint64_t end(uint32_t object, uint64_t object_bytes) const {
    auto at = ends_.find(object);
    return at == ends_.end() ? object_bytes : std::min(at->second, object_bytes);
  }
  // Null: all up to there.
  const ElementUse* find(uint32_t object) const {
    auto at = others_.find(object);
    return at == others_.end() ? nullptr : &at->second;
  }
  const std::unordered_map<uint32_t, uint64_t>& ends() const { return ends_; }
  const std::unordered_map<uint32_t, ElementUse>& others() const { return others_; }

 private:
  std::unordered_map<uint32_t, uint64_t> ends_;  // those before the object's end only
  std::unordered_map<uint32_t, ElementUse> others_;
};

}  // namespace heapwalk
