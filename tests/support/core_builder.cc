#include "tests/support/core_builder.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include <fmt/format.h>

#include "dump/arch/arch.h"

namespace heapwalk::test {
namespace {

using Buffer = std::vector<std::byte>;

template <class T>
void put(Buffer& buffer, T value) {
  size_t at = buffer.size();
  buffer.resize(at + sizeof(T));
  std::memcpy(buffer.data() + at, &value, sizeof(T));
}

template <class T>
void poke(Buffer& buffer, size_t at, T value) {
  if (buffer.size() < at + sizeof(T)) buffer.resize(at + sizeof(T));
  std::memcpy(buffer.data() + at, &value, sizeof(T));
}

void put_text(Buffer& buffer, std::string_view text) {
  for (char c : text) put(buffer, c);
}

void poke_text(Buffer& buffer, size_t at, std::string_view text, size_t limit) {
  for (size_t i = 0; i < std::min(text.size(), limit); ++i) poke(buffer, at + i, text[i]);
}

void pad(Buffer& buffer, size_t alignment) {
  buffer.resize((buffer.size() + alignment - 1) / alignment * alignment);
}

void put_note(Buffer& out, std::string_view name, uint32_t type, const Buffer& description) {
  put(out, static_cast<uint32_t>(name.size() + 1));
  put(out, static_cast<uint32_t>(description.size()));
  put(out, type);
  put_text(out, name);
  put(out, '\0');
  pad(out, 4);
  out.insert(out.end(), description.begin(), description.end());
  pad(out, 4);
}

struct ProgramHeader {
  uint32_t type, flags;
  uint64_t offset, vaddr, filesz, memsz, align;
};

void put_program_header(Buffer& out, const ProgramHeader& header) {
  put(out, header.type);
  put(out, header.flags);
  put(out, header.offset);
  put(out, header.vaddr);
  put(out, uint64_t{0});
  put(out, header.filesz);
  put(out, header.memsz);
  put(out, header.align);
}

void put_elf_header(Buffer& out, uint16_t type, uint16_t machine, uint64_t shoff, uint16_t phnum, uint16_t shnum) {
  put_text(out, std::string_view("\x7f"
                                 "ELF\x02\x01\x01\0\0\0\0\0\0\0\0\0",
                                 16));
  put(out, type);
  put(out, machine);
  put(out, uint32_t{1});
  put(out, uint64_t{0});   // entry
  put(out, uint64_t{64});  // phoff
  put(out, shoff);
  put(out, uint32_t{0});
  put(out, uint16_t{64});
  put(out, uint16_t{56});
  put(out, phnum);
  put(out, uint16_t{64});
  put(out, shnum);
  put(out, uint16_t{0});
}

uint32_t flags_of(std::string_view permissions) {
  auto has = [&](char c) { return permissions.find(c) != std::string_view::npos; };
  return (has('r') ? 4U : 0U) | (has('w') ? 2U : 0U) | (has('x') ? 1U : 0U);
}

}  // namespace

CoreBuilder& CoreBuilder::architecture(Architecture value) {
  return architecture_ = value, *this;
}
CoreBuilder& CoreBuilder::layout(Layout value) {
  return layout_ = value, *this;
}
CoreBuilder& CoreBuilder::order(Order value) {
  return order_ = value, *this;
}
CoreBuilder& CoreBuilder::without_file_table() {
  return file_table_ = false, *this;
}
CoreBuilder& CoreBuilder::auxv(uint64_t type, uint64_t value) {
  return auxv_.emplace_back(type, value), *this;
}
CoreBuilder& CoreBuilder::thread(const ThreadOptions& options) {
  return threads_.push_back(options), *this;
}

CoreBuilder& CoreBuilder::process(uint32_t pid, std::string_view command, std::string_view arguments) {
  pid_ = pid;
  command_ = command;
  arguments_ = arguments;
  return *this;
}

CoreBuilder& CoreBuilder::signal(int number, int code, uint64_t fault_address) {
  signal_ = number;
  signal_code_ = code;
  fault_address_ = fault_address;
  return *this;
}

CoreBuilder& CoreBuilder::note(std::string_view name, uint32_t type, std::vector<std::byte> description) {
  notes_.push_back({std::string(name), type, std::move(description)});
  return *this;
}

CoreBuilder& CoreBuilder::filler(uint64_t at, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    Segment segment;
    segment.at = at + i * 2 * kPage;
    segment.memory_bytes = kPage;
    segment.permissions = "---";
    segments_.push_back(std::move(segment));
  }
  return *this;
}

CoreBuilder& CoreBuilder::map(uint64_t at, uint64_t size_bytes) {
  return map(at, size_bytes, MappingOptions{});
}

CoreBuilder& CoreBuilder::map(uint64_t at, uint64_t size_bytes, const MappingOptions& options) {
  return map(at, std::vector<std::byte>(size_bytes), options);
}

CoreBuilder& CoreBuilder::map(uint64_t at, std::vector<std::byte> content, const MappingOptions& options) {
  Segment segment;
  segment.at = at;
  segment.memory_bytes = content.size();
  segment.content = std::move(content);
  segment.permissions = options.permissions;
  segment.path = options.path;
  segment.file_offset = options.file_offset;
  segment.bytes_in_core = options.bytes_in_core;
  segment.program_header = options.program_header;
  segments_.push_back(std::move(segment));
  return *this;
}

CoreBuilder& CoreBuilder::bytes(uint64_t at, std::span<const std::byte> value) {
  for (auto segment = segments_.rbegin(); segment != segments_.rend(); ++segment) {
    if (at < segment->at || at - segment->at + value.size() > segment->content.size()) continue;
    std::copy(value.begin(), value.end(), segment->content.begin() + static_cast<std::ptrdiff_t>(at - segment->at));
    return *this;
  }
  std::cerr << "CoreBuilder: nothing is mapped at 0x" << std::hex << at << '\n';
  std::abort();
}

CoreBuilder& CoreBuilder::word(uint64_t at, uint64_t value) {
  return bytes(at, std::as_bytes(std::span(&value, 1)));
}
CoreBuilder& CoreBuilder::word32(uint64_t at, uint32_t value) {
  return bytes(at, std::as_bytes(std::span(&value, 1)));
}

CoreBuilder& CoreBuilder::words(uint64_t at, std::initializer_list<uint64_t> values) {
  return bytes(at, std::as_bytes(std::span(values.begin(), values.size())));
}

CoreBuilder& CoreBuilder::text(uint64_t at, std::string_view value) {
  std::string with_nul(value);
  with_nul.push_back('\0');
  return bytes(at, std::as_bytes(std::span(with_nul)));
}

uint64_t CoreBuilder::pthread_block(uint64_t at, uint64_t size_bytes, uint64_t guard_bytes, uint32_t tid) {
  if (guard_bytes > 0) map(at, guard_bytes, {.permissions = "---", .bytes_in_core = 0});
  map(at + guard_bytes, size_bytes - guard_bytes);
  uint64_t pthread = (at + size_bytes - kPthreadSize) / 64 * 64;
  word(pthread, pthread);         // tcb
  word(pthread + 0x10, pthread);  // self
  word32(pthread + kPthreadTid, tid);
  words(pthread + kPthreadBlock, {at, size_bytes, guard_bytes});
  return pthread;
}

CoreBuilder& CoreBuilder::ring(std::initializer_list<uint64_t> nodes) {
  std::vector<uint64_t> list(nodes);
  for (size_t i = 0; i < list.size(); ++i)
    words(list[i], {list[(i + 1) % list.size()], list[(i + list.size() - 1) % list.size()]});
  return *this;
}

CoreBuilder& CoreBuilder::link_map(uint64_t at, std::string_view executable,
                                   std::initializer_list<std::pair<uint64_t, std::string_view>> libraries) {
  const uint64_t data = at + kPage, dynamic = data, r_debug = data + 0x100;
  uint64_t node = data + 0x200, names = data + 0x800;

  Buffer image;  // a position-independent executable linked at 0: ELF header and program headers
  put_elf_header(image, 3, arch_of(architecture_).elf_machine, 0, 4, 0);
  put_program_header(image, {6, 4, 64, 64, 4 * 56, 4 * 56, 8});          // PT_PHDR
  put_program_header(image, {1, 4, 0, 0, kPage, kPage, kPage});          // PT_LOAD
  put_program_header(image, {1, 6, kPage, kPage, kPage, kPage, kPage});  // PT_LOAD, data
  put_program_header(image, {2, 6, kPage, kPage, 0x20, 0x20, 8});        // PT_DYNAMIC
  image.resize(kPage);
  map(at, std::move(image), {.permissions = "r--", .path = executable});
  map(data, kPage, {.path = executable, .file_offset = kPage});
  words(dynamic, {21, r_debug, 0, 0});  // DT_DEBUG, DT_NULL
  words(r_debug, {1, node, 0, 0, 0});   // version, map, brk, state, ldbase
  auxv(3, at + 64).auxv(4, 56).auxv(5, 4).auxv(9, at + 0x800);

  uint64_t previous = 0;
  auto add_node = [&](uint64_t bias, std::string_view name, uint64_t dynamic_at, bool last) {
    text(names, name);
    words(node, {bias, names, dynamic_at, last ? 0 : node + 0x40, previous});
    names += name.size() + 1;
    previous = node;
    node += 0x40;
  };
  add_node(at, "", dynamic, libraries.size() == 0);
  size_t left = libraries.size();
  for (const auto& [address, path] : libraries) add_node(address, path, 0, --left == 0);
  return *this;
}

std::vector<CoreBuilder::Segment> CoreBuilder::ordered_segments() const {
  std::vector<Segment> segments;
  for (const Segment& segment : segments_)
    if (segment.program_header) segments.push_back(segment);
  if (order_ == Order::reversed) std::reverse(segments.begin(), segments.end());
  if (order_ == Order::by_size)
    std::stable_sort(segments.begin(), segments.end(),
                     [](const Segment& a, const Segment& b) { return a.in_core() < b.in_core(); });
  return segments;
}

std::vector<std::byte> CoreBuilder::siginfo() const {
  Buffer info(128);
  poke(info, 0, static_cast<int32_t>(signal_));
  poke(info, 8, static_cast<int32_t>(signal_code_));
  poke(info, 16, fault_address_);
  return info;
}

std::vector<std::byte> CoreBuilder::file_table() const {
  std::vector<const Segment*> files;
  for (const Segment& segment : segments_)
    if (!segment.path.empty()) files.push_back(&segment);
  std::sort(files.begin(), files.end(), [](const Segment* a, const Segment* b) { return a->at < b->at; });
  Buffer table;
  put(table, uint64_t{files.size()});
  put(table, kPage);
  for (const Segment* file : files) {
    put(table, file->at);
    put(table, file->at + file->memory_bytes);
    put(table, file->file_offset / kPage);
  }
  for (const Segment* file : files) {
    put_text(table, file->path);
    put(table, '\0');
  }
  return table;
}

void CoreBuilder::add_thread_notes(const ThreadOptions& thread, uint32_t tid, bool first, Buffer& out) const {
  const Arch& arch = arch_of(architecture_);
  Buffer status(112 + arch.register_names.size() * 8 + 8);
  poke(status, 12, static_cast<int16_t>(first ? signal_ : 0));
  poke(status, 32, tid);
  for (size_t i = 0; i < arch.register_names.size(); ++i) {
    uint64_t value = 0;
    if (auto named = thread.registers.find(arch.register_names[i]); named != thread.registers.end())
      value = named->second;
    if (i == arch.pc_index) value = thread.pc;
    if (i == arch.sp_index) value = thread.sp;
    if (arch.thread_pointer_index && i == *arch.thread_pointer_index) value = thread.thread_pointer;
    poke(status, 112 + i * 8, value);
  }
  put_note(out, "CORE", 1, status);
  if (layout_ == Layout::gcore) put_note(out, "CORE", 0x53494749, siginfo());

  bool x86 = architecture_ == Architecture::x86_64;
  Buffer fpregs(x86 ? 512 : 528);
  for (size_t i = 0; i < thread.vector_words.size(); ++i) poke(fpregs, (x86 ? 160 : 0) + i * 8, thread.vector_words[i]);
  if (!thread.vector_words.empty()) put_note(out, "CORE", 2, fpregs);
  if (x86 && !thread.ymm_upper_words.empty()) {
    Buffer xstate = fpregs;
    poke(xstate, 512, uint64_t{7});  // XSTATE_BV: x87, SSE, AVX
    xstate.resize(832);
    for (size_t i = 0; i < thread.ymm_upper_words.size(); ++i) poke(xstate, 576 + i * 8, thread.ymm_upper_words[i]);
    put_note(out, "LINUX", 0x202, xstate);
  }
  if (!arch.thread_pointer_index) {
    Buffer tls;
    put(tls, thread.thread_pointer);
    put_note(out, "LINUX", 0x401, tls);
  }
}

std::vector<std::byte> CoreBuilder::build_notes() const {
  Buffer process(136), vector, out;
  poke(process, 24, pid_);
  poke_text(process, 40, command_, 15);
  poke_text(process, 56, arguments_, 79);
  for (const auto& [type, value] : auxv_) {
    put(vector, type);
    put(vector, value);
  }
  put(vector, uint64_t{0});
  put(vector, uint64_t{0});

  auto process_notes = [&] {
    put_note(out, "CORE", 3, process);
    if (layout_ == Layout::kernel) put_note(out, "CORE", 0x53494749, siginfo());
    put_note(out, "CORE", 6, vector);
    if (file_table_) put_note(out, "CORE", 0x46494c45, file_table());
  };
  std::vector<ThreadOptions> threads = threads_;
  if (threads.empty()) threads.emplace_back();
  uint32_t next_tid = pid_;
  for (size_t i = 0; i < threads.size(); ++i) {
    uint32_t tid = threads[i].tid != 0 ? threads[i].tid : next_tid;
    next_tid = tid + 1;
    Buffer notes;
    add_thread_notes(threads[i], tid, i == 0, notes);
    // The kernel puts the process's notes after the first thread's PRSTATUS.
    size_t status_size = 20 + 112 + arch_of(architecture_).register_names.size() * 8 + 8;
    auto middle = notes.begin() + static_cast<std::ptrdiff_t>(i == 0 ? status_size : 0);
    out.insert(out.end(), notes.begin(), middle);
    if (i == 0) process_notes();
    out.insert(out.end(), middle, notes.end());
  }
  if (layout_ == Layout::gcore) put_note(out, "GDB", 0xff000000, Buffer(16));
  for (const Note& note : notes_) put_note(out, note.name, note.type, note.description);
  return out;
}

std::vector<std::byte> CoreBuilder::build() const {
  std::vector<Segment> segments = ordered_segments();
  Buffer notes = build_notes();
  bool gcore = layout_ == Layout::gcore;
  uint64_t count = segments.size() + 1;
  bool many = count >= 0xffff;
  uint64_t headers_end = 64 + count * 56;
  uint64_t alignment = gcore ? 1 : kPage;

  std::vector<ProgramHeader> headers;
  uint64_t offset = headers_end;
  ProgramHeader note_header{4, 0, headers_end, 0, notes.size(), 0, 4};
  if (!gcore) offset += notes.size();
  uint64_t data_begin = offset = (offset + alignment - 1) / alignment * alignment;
  for (const Segment& segment : segments) {
    headers.push_back(
        {1, flags_of(segment.permissions), offset, segment.at, segment.in_core(), segment.memory_bytes, alignment});
    offset += (segment.in_core() + alignment - 1) / alignment * alignment;
  }
  if (gcore) {
    note_header.offset = offset;
    offset += notes.size();
  }
  headers.insert(gcore ? headers.end() : headers.begin(), note_header);
  bool sections = gcore || many;

  Buffer out;
  put_elf_header(out, 4, arch_of(architecture_).elf_machine, sections ? offset : 0,
                 static_cast<uint16_t>(many ? 0xffff : count), sections ? 1 : 0);
  for (const ProgramHeader& header : headers) put_program_header(out, header);
  if (!gcore) out.insert(out.end(), notes.begin(), notes.end());
  out.resize(data_begin);
  for (const Segment& segment : segments) {
    out.insert(out.end(), segment.content.begin(),
               segment.content.begin() + static_cast<std::ptrdiff_t>(segment.in_core()));
    pad(out, alignment);
  }
  if (gcore) out.insert(out.end(), notes.begin(), notes.end());
  if (sections) {
    size_t section = out.size();
    out.resize(section + 64);
    if (many) poke(out, section + 44, static_cast<uint32_t>(count));
  }
  return out;
}

// A file in memory: tests that open thousands of cores would wait for the disk.
Result<CoreDump> open_core_bytes(std::span<const std::byte> bytes, const CoreOptions& options) {
  int descriptor = ::memfd_create("core", MFD_CLOEXEC);
  for (size_t done = 0; done < bytes.size();) {
    ssize_t written = ::write(descriptor, bytes.data() + done, bytes.size() - done);
    if (written <= 0) std::abort();  // nothing can be tested without a place for the bytes
    done += static_cast<size_t>(written);
  }
  auto dump = open_core_dump(fmt::format("/proc/self/fd/{}", descriptor), options);
  ::close(descriptor);  // the mapping outlives it
  return dump;
}

CoreDump CoreBuilder::open(const CoreOptions& options) const {
  auto dump = open_core_bytes(build(), options);
  if (!dump) {
    std::cerr << "CoreBuilder: " << dump.error().message << '\n';
    std::abort();
  }
  return *std::move(dump);
}

}  // namespace heapwalk::test
