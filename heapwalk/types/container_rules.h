// One row of the table of containers: the name of a template, and which of its members and template arguments fill which hole.
//
//     libstdc++'s vector   record "std::_Vector_base"   first "_M_start"   end "_M_finish"   limit "_M_end_of_storage"
//
//     members      are looked for by name, never by a library's version (member_path.h): "a|b" is what two versions call
//                  one, "a.b" a member of a member
//     arguments    "1": the second of the template; "3.0": the first of its fourth one's; "0…" of no template: nothing
//     names        say std::__1 for all of libc++'s inline namespaces, and absl without any
//
// A record may have several rows, for versions that differ in more than names: the first row applies whose `having` member
// is there.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace heapwalk {

struct ContainerRule {
  static constexpr std::string_view kSelf = "self";

  std::string_view record;                 // the template's name, up to the "<" …
  std::string_view having = {};            // … with this member
  std::string_view base = {};              // pointers to this record …
  std::string_view node = {};              // … lead to this template of …
  std::string_view node_argument = {};     // … this argument; kSelf: to the record itself
  std::string_view storage = {};           // this member's bytes …
  std::string_view storage_argument = {};  // … hold a value of this argument
  std::string_view first = {};             // this member points to the elements in use …
  std::string_view end = {};               // … that end where this one points to …
  std::string_view limit = {};             // … in room that ends where this one points to
  std::string_view length = {};            // instead of the end: their number, a NUL following
  std::string_view is_long = {};           // a byte of which one bit says that `first` is there: the lowest if the byte
                                           // comes first in the record, else the highest
  std::string_view engaged = {};           // this member is not zero when the bytes beside it hold a value …
  std::string_view value = {};             // … which is this member …
  std::string_view choice = {};            // … or numbers the alternative that they hold, in a union of the first …
  std::string_view rest = {};              // … and this, the union of the others
  std::string_view element_argument = {};  // what `first` points to, whatever its type, are values of this argument
  std::string_view begin = {};             // the first element in use is not `first`, but where this one points to …
  std::string_view head = {};              // … or of that number, and behind the last one follows the first
  std::string_view last = {};              // the same again in the last of several blocks, which begins there …
  std::string_view last_limit = {};        // … and ends there
  std::string_view count = {};             // the number of elements in use …
  std::string_view capacity = {};          // … and how many there is room for
  std::string_view mask = {};              // one less than the number of buckets, which end where `first` points to
  std::string_view control = {};           // this member points to bytes before the elements: one for each, below 0x80
                                           // if it is in use; the block begins there or a few words before
  std::string_view inside = {};            // up to `inside_most` elements lie in this member, when the capacity is not
                                           // larger than that, or `is_long` says no
  bool inside_to_end = false;              // … and in all that follows it in the record
  uint64_t inside_most = UINT64_MAX;       // … as far as they fit
  uint8_t size_shift = 0;                  // the lowest bit of the number in `count`, `size`
  uint8_t capacity_bits = 0;               // so many of the lowest bits are the base-2 logarithm of one more than it …
  uint8_t blocked_shift = 0;               // … and the three from here on, how many of the last are left out
  bool is_behind_control = false;          // the elements have no pointer of their own: `first` leads to those bytes
  std::string_view instead_of = {};        // the rule of this record, if it is a part, does not apply
  std::string_view object = {};            // this member points to a value of a type …
  std::string_view vtable = {};            // … that the one beside it knows: a vtable, or a function that manages it
  std::string_view large = {};             // instances of this template begin with the record, and are used in its
                                           // stead: the allocation's size tells
  std::string_view size = {};              // the number of elements that it says it has: nodes, full buckets
  std::string_view room = {};              // of a string: how many characters there is room for, beside `is_long`
  std::string_view buckets = {};           // this member points to an array of pointers …
  std::string_view bucket_count = {};      // … of that many …
  bool has_last_bucket = false;            // … and one more: it leads to the first node
  std::string_view filled = {};            // of the arrays inside, this many elements are in use …
  uint8_t filled_more = 0;                 // … or this many more: the links to further nodes

  // Of what stands in the word of that member.
  uint64_t size_in(uint64_t word) const { return word >> size_shift; }
  uint64_t capacity_in(uint64_t word) const {
    if (capacity_bits == 0) return word;
    const uint64_t log = word & capacity_mask();
    return log < 64 ? (uint64_t{1} << log) - 1 : UINT64_MAX;
  }
  uint64_t capacity_mask() const { return capacity_bits == 0 ? UINT64_MAX : (uint64_t{1} << capacity_bits) - 1; }
  // From `first` to the elements: a byte for each, a sentinel and 15 clones, unless there is room for one only.
  uint64_t behind_control(uint64_t slots) const { return is_behind_control && slots > 1 ? slots + 16 : 0; }
  uint64_t blocked_in(uint64_t word) const { return blocked_shift == 0 ? 0 : word >> blocked_shift & 7; }
};

std::span<const ContainerRule> container_rules();

}  // namespace heapwalk
