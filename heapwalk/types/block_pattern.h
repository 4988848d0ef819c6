// What the words of one block look like, to somebody who knows nothing about it.
//
//     0x55d0c0de1200  ──► into the heap              bit 0 of `heap`
//     0                   null                       bit 1 of `null`
//     0x55d0b7a40c80  ──► into a module: `tcp_ops`   bit 2 of `program`
//     1722                a number
//
// Blocks with equal patterns are counted together; block_shapes.h makes names of them.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "dump/core_dump.h"
#include "heapwalk/object_index.h"

namespace heapwalk {

enum class BlockForm : uint8_t {
  text,      // mostly printable: nothing else is said
  words,     // up to 1 KiB: the masks say what the first 16 words are
  pointers,  // above 1 KiB: at its beginning, most words that are not null lead into the heap
  large,     // above 1 KiB, other
};

struct BlockPattern {
  static constexpr uint64_t kWords = 16;  // that the masks tell of

  BlockForm form = BlockForm::large;
  bool is_longer = false;    // than kWords
  bool leads_later = false;  // a word behind these leads somewhere, and none of these does
  uint16_t heap = 0, program = 0, null = 0;
  uint32_t size_class = 0;         // 0 for text
  const Symbol* symbol = nullptr;  // of the first word into the program that a function or object with a size covers

  bool operator==(const BlockPattern&) const = default;
  struct Hash {
    size_t operator()(const BlockPattern& pattern) const;
  };
};

// One per worker: it remembers what symbols it has looked up.
class BlockReader {
 public:
  BlockReader(const CoreDump& dump, const ObjectIndex& objects);

  // The pattern of a block at `data`. Its first kSampleBytes are read, or all if it is shorter.
  static constexpr uint64_t kSampleBytes = 1024;
  BlockPattern pattern_of(const std::byte* data, uint64_t size_bytes);

 private:
  enum class Word : uint8_t { null, heap, program, other };
  Word kind_of(uint64_t word);
  bool is_pointer_table(const std::byte* data);
  bool leads_on(const std::byte* data, uint64_t words);
  const Symbol* symbol_at(Address address);

  const CoreDump& dump_;
  const ObjectIndex& objects_;
  AddressRange modules_;  // from the first one to the end of the last
  AddressRange last_region_;
  const Module* last_module_ = nullptr;
  std::unordered_map<uint64_t, const Symbol*> symbols_;  // by address, null where there is none
};

}  // namespace heapwalk
