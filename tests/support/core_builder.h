// Core files, made in memory to say exactly what a test is about.
//
//     CoreBuilder core;
//     core.map(0x10000, 0x2000).word(0x10008, 0x10040).text(0x10040, "hello");
//     core.map(0x7fff0000, 0x1000).thread({.tid = 4711, .sp = 0x7fff0800});
//     CoreDump dump = core.open();
//
// Mappings are zero until something is poked into them. Everything else has a default: x86-64, process 4711 "builder",
// the layout of a kernel core, the file table made from the mappings that have a path. Whatever was said first comes
// first in the file; nothing is checked for sense, because senseless cores are what some tests want.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dump/core_dump.h"

namespace heapwalk::test {

class CoreBuilder {
 public:
  static constexpr uint64_t kAll = UINT64_MAX;
  static constexpr uint64_t kPage = 4096;

  struct MappingOptions {
    std::string_view permissions = "rw-";
    std::string_view path = "";     // with a path, the mapping is in the file table too
    uint64_t file_offset = 0;       // bytes
    uint64_t bytes_in_core = kAll;  // p_filesz
    bool program_header = true;     // false: only in the file table, as gcore does with unmodified text
  };
  struct ThreadOptions {
    uint32_t tid = 0;  // 0: the process id, then counting up
    uint64_t sp = 0;
    uint64_t pc = 0;
    uint64_t thread_pointer = 0;
    std::map<std::string, uint64_t, std::less<>> registers = {};  // others, by name; unnamed ones are 0
    std::vector<uint64_t> vector_words = {};                      // xmm0[0], xmm0[1], xmm1[0], … or v0[0], …
    std::vector<uint64_t> ymm_upper_words = {};                   // ymm0[2], ymm0[3], ymm1[2], …
  };
  enum class Layout : uint8_t { kernel, gcore };               // gcore: notes last, section headers, a GDB note
  enum class Order : uint8_t { as_added, reversed, by_size };  // of the segments, in headers and file

  CoreBuilder& architecture(Architecture value);
  CoreBuilder& process(uint32_t pid, std::string_view command, std::string_view arguments = "");
  CoreBuilder& signal(int number, int code = 1, uint64_t fault_address = 0);
  CoreBuilder& auxv(uint64_t type, uint64_t value);
  CoreBuilder& thread(const ThreadOptions& options);
  CoreBuilder& layout(Layout value);
  CoreBuilder& order(Order value);
  CoreBuilder& without_file_table();
  // Raw notes after all others: `count` and content are what the test says, true or not.
  CoreBuilder& note(std::string_view name, uint32_t type, std::vector<std::byte> description);
  // `count` empty one-page mappings from `at` on, every second page: more than 65,535 make a PN_XNUM core.
  CoreBuilder& filler(uint64_t at, uint64_t count);

  CoreBuilder& map(uint64_t at, uint64_t size_bytes);
  CoreBuilder& map(uint64_t at, uint64_t size_bytes, const MappingOptions& options);
  CoreBuilder& map(uint64_t at, std::vector<std::byte> content, const MappingOptions& options);
  // Into the last mapping added that contains the address.
  CoreBuilder& word(uint64_t at, uint64_t value);
  CoreBuilder& words(uint64_t at, std::initializer_list<uint64_t> values);
  CoreBuilder& word32(uint64_t at, uint32_t value);
  CoreBuilder& text(uint64_t at, std::string_view value);  // with its NUL
  CoreBuilder& bytes(uint64_t at, std::span<const std::byte> value);

  // A glibc stack block as pthread_create makes it, mapped by this call: struct pthread at the top, with its thread id
  // and its stack block described. Returns the thread pointer (x86-64).
  uint64_t pthread_block(uint64_t at, uint64_t size_bytes, uint64_t guard_bytes, uint32_t tid);
  // Links nodes (list_t: next, previous) to a ring, in this order.
  CoreBuilder& ring(std::initializer_list<uint64_t> nodes);
  static constexpr uint64_t kPthreadSize = 0x940;
  static constexpr uint64_t kPthreadList = 0x2c0;  // offsets in glibc 2.36's struct pthread
  static constexpr uint64_t kPthreadTid = 0x2d0;
  static constexpr uint64_t kPthreadBlock = 0x690;

  // An executable at `at` (two pages: headers and the dynamic linker's data) whose list names it and `libraries`
  // (address of the image, path), with auxv and file table to match. The images' files need not exist.
  CoreBuilder& link_map(uint64_t at, std::string_view executable,
                        std::initializer_list<std::pair<uint64_t, std::string_view>> libraries);

  std::vector<std::byte> build() const;
  // Opens the core through a file in memory; a failure ends the test program with its message.
  CoreDump open(const CoreOptions& options = {}) const;

 private:
  struct Segment {
    uint64_t at = 0;
    std::vector<std::byte> content;
    uint64_t memory_bytes = 0;
    std::string permissions, path;
    uint64_t file_offset = 0;
    uint64_t bytes_in_core = kAll;
    bool program_header = true;
    uint64_t in_core() const { return std::min<uint64_t>(bytes_in_core, content.size()); }
  };
  struct Note {
    std::string name;
    uint32_t type = 0;
    std::vector<std::byte> description;
  };

  std::vector<Segment> ordered_segments() const;
  std::vector<std::byte> build_notes() const;
  void add_thread_notes(const ThreadOptions& thread, uint32_t tid, bool first, std::vector<std::byte>& out) const;
  std::vector<std::byte> siginfo() const;
  std::vector<std::byte> file_table() const;

  Architecture architecture_ = Architecture::x86_64;
  uint32_t pid_ = 4711;
  std::string command_ = "builder", arguments_ = "builder --test";
  int signal_ = 0, signal_code_ = 0;
  uint64_t fault_address_ = 0;
  bool file_table_ = true;
  Layout layout_ = Layout::kernel;
  Order order_ = Order::as_added;
  std::vector<std::pair<uint64_t, uint64_t>> auxv_;
  std::vector<ThreadOptions> threads_;
  std::vector<Segment> segments_;
  std::vector<Note> notes_;
};

// Opens the bytes as a core file, through a file in memory.
Result<CoreDump> open_core_bytes(std::span<const std::byte> bytes, const CoreOptions& options = {});

}  // namespace heapwalk::test
