#include "heapwalk/runtimes/go/types/value_walk.h"

#include <algorithm>

namespace heapwalk::go {
namespace {

constexpr int kMaxDepth = 64;             // of long arrays in long arrays
constexpr uint8_t kSameSizeGrow = 8;      // hmap.flags: as many buckets as before
constexpr uint64_t kIndirectValue = 128;  // reflect.Value's flag: ptr leads to the value

uint64_t word_at(Bytes bytes, uint64_t offset) {
  return offset + 8 <= bytes.size() ? load<uint64_t>(bytes.data() + offset) : 0;
}

}  // namespace

const DynamicTypes::Dynamic& DynamicTypes::add(Address word, bool is_itab, WalkPlans& plans) {
  auto& known = is_itab ? itabs_ : types_by_address_;
  auto [at, is_new] = known.try_emplace(word);
  if (!is_new) return at->second;
  Address type = word;
  if (is_itab) type = memory_->read_pointer(word + layout_->offset(Field::ITab_Type)).value_or(Address{});
  Dynamic dynamic{.type = type ? types_->add(type) : kNoType};
  if (const TypeNode* node = dynamic.type == kNoType ? nullptr : types_->node_of(type)) {
    dynamic.is_direct = node->descriptor.is_direct;
    dynamic.plan = &plans.of(dynamic.type);
  }
  return known[word] = dynamic;
}

void ValueWalk::walk(const WalkPlan& plan, Address at, Bytes bytes, std::vector<Lead>& leads, int depth) const {
  for (const WalkPlace& each : plan.places) {
    if (each.offset_bytes + 8 > bytes.size()) continue;
    place(each, at + each.offset_bytes, bytes.subspan(each.offset_bytes), leads, depth);
  }
}

void ValueWalk::place(const WalkPlace& place, Address at, Bytes bytes, std::vector<Lead>& leads, int depth) const {
  const Address value{load<uint64_t>(bytes.data())};
  switch (place.verb) {
    case Verb::pointer:
      if (value) leads.push_back({.value = value, .type = place.target});
      return;
    case Verb::slice:
      if (value && word_at(bytes, 16) != 0)
        leads.push_back({value, place.target, Lead::How::slice, false, false, word_at(bytes, 16)});
      return;
    case Verb::string:
      if (value && word_at(bytes, 8) != 0)
        leads.push_back({value, place.target, Lead::How::text, false, false, word_at(bytes, 8)});
      return;
    case Verb::interface:
    case Verb::empty_interface:
      return interface(bytes, place.verb == Verb::interface, leads);
    case Verb::reflect_value:
      return reflect_value(bytes, leads);
    case Verb::closure:
      if (value) leads.push_back({.value = value, .how = Lead::How::closure});
      return;
    case Verb::swiss_map:
      return swiss_map(place, bytes, leads);
    case Verb::swiss_table: {
      const Bytes groups = bytes.subspan(std::min<size_t>(bytes.size(), layout_->offset(Field::table_groups)));
      const Address data{word_at(groups, layout_->offset(Field::groupsReference_data))};
      const uint64_t last = word_at(groups, layout_->offset(Field::groupsReference_lengthMask));
      if (data) leads.push_back({data, place.target, Lead::How::counted, false, false, last + 1});
      return;
    }
    case Verb::classic_map:
      return classic_map(place, bytes, leads);
    case Verb::channel:
      return channel(place, at, bytes, leads);
    case Verb::pool:
      return pool(place, bytes, leads);
    case Verb::repeat: {
      const WalkPlan* element = plans_->find(place.target);
      if (element == nullptr || depth == kMaxDepth) return;
      for (uint64_t i = 0; i < place.count && i * place.stride < bytes.size(); ++i)
        walk(*element, at + i * place.stride,
             bytes.subspan(i * place.stride, std::min<uint64_t>(place.stride, bytes.size() - i * place.stride)), leads,
             depth + 1);
      return;
    }
  }
}

void ValueWalk::follow(const DynamicTypes::Dynamic& dynamic, Address word, bool is_direct,
                       std::vector<Lead>& leads) const {
  if (dynamic.type == kNoType || !word) return;
  if (!is_direct) {
    leads.push_back({.value = word, .type = dynamic.type, .how = Lead::How::dynamic});
  } else if (dynamic.plan != nullptr) {
    const size_t first = leads.size();
    walk(*dynamic.plan, Address{}, std::as_bytes(std::span(&word, 1)), leads, 0);
    for (size_t i = first; i < leads.size(); ++i) {
      if (leads[i].how == Lead::How::value) leads[i].how = Lead::How::dynamic;
    }
  }
}

void ValueWalk::interface(Bytes words, bool is_itab, std::vector<Lead>& leads) const {
  const Address first{word_at(words, 0)}, second{word_at(words, 8)};
  if (!first || !second) return;
  if (const auto* known = dynamic_->find(first, is_itab)) return follow(*known, second, known->is_direct, leads);
  leads.push_back({.value = second, .how = Lead::How::unknown, .is_itab = is_itab, .other = first});
}

void ValueWalk::reflect_value(Bytes words, std::vector<Lead>& leads) const {
  const Address type{word_at(words, 0)}, pointer{word_at(words, 8)};
  if (!type || !pointer) return;
  const auto* known = dynamic_->find(type, false);
  if (known == nullptr) {
    leads.push_back({.value = {}, .how = Lead::How::unknown, .other = type});
  } else {
    follow(*known, pointer, (word_at(words, 16) & kIndirectValue) == 0, leads);
  }
}

uint64_t ValueWalk::number(Bytes record, Field field) const {
  uint64_t value = 0;
  const uint32_t offset = layout_->offset(field), width = layout_->width(field);
  if (!layout_->has(field) || width > 8 || uint64_t{offset} + width > record.size()) return 0;
  std::memcpy(&value, record.data() + offset, width);
  return value;
}

// One group, or a directory of tables.
void ValueWalk::swiss_map(const WalkPlace& place, Bytes record, std::vector<Lead>& leads) const {
  const Address directory{number(record, Field::Map_dirPtr)};
  const uint64_t length = number(record, Field::Map_dirLen);
  if (!directory) return;
  if (length == 0) {
    leads.push_back({directory, place.target, Lead::How::counted, false, false, 1});
  } else {
    leads.push_back({directory, place.other, Lead::How::counted, false, false, length});
  }
}

// Buckets that overflow in advance lie behind the others.
void ValueWalk::classic_map(const WalkPlace& place, Bytes record, std::vector<Lead>& leads) const {
  const uint64_t shift = number(record, Field::hmap_B);
  if (shift >= 48) return;
  const uint64_t count = uint64_t{1} << shift;
  const bool is_same_size = (number(record, Field::hmap_flags) & kSameSizeGrow) != 0;
  if (const Address buckets{number(record, Field::hmap_buckets)})
    leads.push_back({buckets, place.target, Lead::How::at_least, false, false, count});
  if (const Address old{number(record, Field::hmap_oldbuckets)})
    leads.push_back({old, place.target, Lead::How::at_least, false, false,
                     is_same_size ? count : std::max<uint64_t>(1, count / 2)});
  const Address extra{number(record, Field::hmap_extra)};
  if (extra && place.other != kNoType) leads.push_back({.value = extra, .type = place.other});
}

void ValueWalk::channel(const WalkPlace& place, Address at, Bytes record, std::vector<Lead>& leads) const {
  const uint64_t count = number(record, Field::hchan_dataqsiz);
  const Address buffer{number(record, Field::hchan_buf)};
  const Address element{number(record, Field::hchan_elemtype)};
  if (count == 0 || !buffer || buffer == at + layout_->offset(Field::hchan_size))
    return;  // they lie behind the channel
  const TypeId said = types_->find(element);
  const bool is_known = said != kNoType && plans_->find(said) != nullptr;
  leads.push_back({buffer, is_known ? said : place.target, Lead::How::elements, false, false, count});
}

// One for each processor.
void ValueWalk::pool(const WalkPlace& place, Bytes record, std::vector<Lead>& leads) const {
  if (place.target == kNoType) return;
  // noCopy takes no room: local, localSize, victim, victimSize follow each other.
  for (uint64_t offset : {uint64_t{0}, uint64_t{16}}) {
    const Address local{word_at(record, offset)};
    if (local) leads.push_back({local, place.target, Lead::How::counted, false, false, word_at(record, offset + 8)});
  }
}

}  // namespace heapwalk::go
