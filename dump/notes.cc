#include "dump/notes.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <string_view>

namespace heapwalk {
namespace {

constexpr uint32_t kPrstatus = 1;
constexpr uint32_t kPrpsinfo = 3;
constexpr uint32_t kAuxv = 6;
constexpr uint32_t kSiginfo = 0x53494749;
constexpr uint32_t kFile = 0x46494c45;
constexpr uint32_t kGdbDescription = 0xff000000;  // NT_GDB_TDESC, "GDB": gcore wrote this core

// struct elf_prstatus and elf_prpsinfo of 64-bit Linux.
constexpr size_t kPrstatusSignal = 12;
constexpr size_t kPrstatusPid = 32;
constexpr size_t kPrstatusRegisters = 112;
constexpr size_t kPrpsinfoPid = 24;
constexpr size_t kPrpsinfoName = 40, kNameSize = 16;
constexpr size_t kPrpsinfoArguments = 56, kArgumentsSize = 80;
constexpr size_t kPrpsinfoSize = kPrpsinfoArguments + kArgumentsSize;
constexpr size_t kSiginfoCode = 8, kSiginfoAddress = 16;
constexpr int32_t kSentByKernel = 0x80;  // SI_KERNEL: no address known (a general protection fault)
constexpr std::string_view kDeleted = " (deleted)";

// The text in a field of fixed size, which a NUL may end early.
std::string fixed_text(Bytes field) {
  const auto* begin = reinterpret_cast<const char*>(field.data());
  return {begin, ::strnlen(begin, field.size())};
}

class NoteReader {
 public:
  NoteReader(const std::string& path, const Arch& arch, Diagnostics& diagnostics)
      : path_(path), arch_(arch), diagnostics_(diagnostics) {}

  void read_segment(Bytes segment);
  CoreNotes finish();

 private:
  void read(std::string_view name, uint32_t type, Bytes description);
  void read_prstatus(Bytes description);
  void read_prpsinfo(Bytes description);
  void read_siginfo(Bytes description);
  void read_auxv(Bytes description);
  void read_files(Bytes description);
  void malformed(std::string_view what, size_t wanted, size_t found);

  const std::string& path_;
  const Arch& arch_;
  Diagnostics& diagnostics_;
  CoreNotes notes_;
  bool has_psinfo_ = false;
  bool has_siginfo_ = false;
  bool by_gdb_ = false;
};

void NoteReader::malformed(std::string_view what, size_t wanted, size_t found) {
  diagnostics_.add("malformed_note", fmt::format("{}: note {}: wanted {} bytes, found {}", path_, what, wanted, found));
}

void NoteReader::read_segment(Bytes segment) {
  ByteReader reader(segment);
  while (reader.remaining() > 0) {
    size_t start = reader.offset();
    auto header = reader.read_bytes(12);
    if (!header) {
      Bytes rest = segment.subspan(start);
      if (std::any_of(rest.begin(), rest.end(), [](std::byte b) { return b != std::byte{0}; }))
        malformed(fmt::format("header at 0x{:x} of the note segment", start), 12, rest.size());
      return;
    }
    uint64_t name_size = load<uint32_t>(header->data());
    uint64_t description_size = load<uint32_t>(header->data() + 4);
    auto type = load<uint32_t>(header->data() + 8);
    if (name_size == 0 && description_size == 0 && type == 0) continue;  // zero padding
    uint64_t padded_name = (name_size + 3) & ~uint64_t{3};
    size_t remaining = reader.remaining();
    auto name = reader.read_bytes(padded_name);
    auto description = name ? reader.read_bytes(description_size) : std::nullopt;
    if (!name || !description) {
      malformed(fmt::format("of type 0x{:x} at 0x{:x} of the note segment", type, start),
                padded_name + description_size, remaining);
      return;
    }
    reader.skip(std::min<size_t>(reader.remaining(), (4 - description_size % 4) % 4));
    read(fixed_text(name->first(name_size)), type, *description);
  }
}

void NoteReader::read(std::string_view name, uint32_t type, Bytes description) {
  if (name == "GDB" && type == kGdbDescription) by_gdb_ = true;
  bool core = name == "CORE";
  if (!core && name != "LINUX") return;
  if (core && type == kPrstatus) return read_prstatus(description);
  if (core && type == kPrpsinfo) return read_prpsinfo(description);
  if (core && type == kSiginfo) return read_siginfo(description);
  if (core && type == kAuxv) return read_auxv(description);
  if (core && type == kFile) return read_files(description);
  if (!notes_.threads.empty() && !arch_.read_note(type, description, notes_.threads.back()))
    diagnostics_.add("malformed_note", fmt::format("{}: note of type 0x{:x} of thread {}: {} bytes are too few", path_,
                                                   type, notes_.threads.back().tid, description.size()));
}

void NoteReader::read_prstatus(Bytes description) {
  size_t wanted = kPrstatusRegisters + arch_.register_names.size() * 8;
  if (description.size() < wanted) return malformed("NT_PRSTATUS (a thread)", wanted, description.size());
  const std::byte* data = description.data();
  Thread thread;
  thread.tid = load<uint32_t>(data + kPrstatusPid);
  for (size_t i = 0; i < arch_.register_names.size(); ++i)
    thread.registers.push_back({arch_.register_names[i], load<uint64_t>(data + kPrstatusRegisters + i * 8)});
  thread.program_counter = Address{thread.registers[arch_.pc_index].value};
  thread.stack_pointer = Address{thread.registers[arch_.sp_index].value};
  if (arch_.thread_pointer_index) thread.thread_pointer = Address{thread.registers[*arch_.thread_pointer_index].value};
  if (notes_.threads.empty()) notes_.process.signal = load<int16_t>(data + kPrstatusSignal);
  notes_.threads.push_back(std::move(thread));
}

void NoteReader::read_prpsinfo(Bytes description) {
  if (has_psinfo_) return;
  if (description.size() < kPrpsinfoSize) return malformed("NT_PRPSINFO", kPrpsinfoSize, description.size());
  has_psinfo_ = true;
  notes_.process.pid = load<uint32_t>(description.data() + kPrpsinfoPid);
  notes_.process.command = fixed_text(description.subspan(kPrpsinfoName, kNameSize));
  notes_.process.arguments = fixed_text(description.subspan(kPrpsinfoArguments, kArgumentsSize));
  while (notes_.process.arguments.ends_with(' ')) notes_.process.arguments.pop_back();
}

// gcore writes one per thread: the first one belongs to the first thread, like the process's signal.
void NoteReader::read_siginfo(Bytes description) {
  if (has_siginfo_) return;
  if (description.size() < kSiginfoAddress + 8) return malformed("NT_SIGINFO", kSiginfoAddress + 8, description.size());
  has_siginfo_ = true;
  const std::byte* data = description.data();
  auto signal = load<int32_t>(data);
  auto code = load<int32_t>(data + kSiginfoCode);
  notes_.process.signal_code = code;
  bool has_address = signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE;
  if (has_address && code > 0 && code != kSentByKernel)
    notes_.process.fault_address = Address{load<uint64_t>(data + kSiginfoAddress)};
}

void NoteReader::read_auxv(Bytes description) {
  if (!notes_.auxv.empty()) return;
  ByteReader reader(description);
  while (auto entry = reader.read_bytes(16)) {
    auto type = load<uint64_t>(entry->data());
    if (type == 0) return;
    notes_.auxv.emplace_back(type, load<uint64_t>(entry->data() + 8));
  }
  malformed("NT_AUXV without its end entry", description.size() + 16, description.size());
}

void NoteReader::read_files(Bytes description) {
  ByteReader reader(description);
  auto count = reader.read<uint64_t>();
  auto page_size = reader.read<uint64_t>();
  if (!count || !page_size) return malformed("NT_FILE", 16, description.size());
  uint64_t usable = std::min(*count, reader.remaining() / 24);
  if (usable < *count) malformed(fmt::format("NT_FILE of {} entries", *count), usable * 24 + 40, description.size());
  Bytes entries = description.subspan(reader.offset(), usable * 24);
  reader.skip(entries.size());
  uint64_t without_path = 0;
  for (uint64_t i = 0; i < usable; ++i) {
    const std::byte* entry = entries.data() + i * 24;
    auto path = reader.read_c_string();
    if (!path) {
      without_path = usable - i;
      break;
    }
    AddressRange range{Address{load<uint64_t>(entry)}, Address{load<uint64_t>(entry + 8)}};
    if (range.empty()) continue;
    if (path->ends_with(kDeleted)) path->remove_suffix(kDeleted.size());
    notes_.file_mappings.push_back({range, load<uint64_t>(entry + 16) * *page_size, std::string(*path)});
  }
  if (without_path > 0)
    diagnostics_.add("malformed_note",
                     fmt::format("{}: note NT_FILE: {} of {} mappings have no path", path_, without_path, *count));
}

CoreNotes NoteReader::finish() {
  Process& process = notes_.process;
  process.architecture = arch_.architecture;
  if (notes_.threads.empty())
    diagnostics_.add("no_threads",
                     fmt::format("{}: no thread is described: registers and stacks are not known", path_));
  // gdb stops the process to read it: the stop is no crash.
  if (by_gdb_ && (process.signal == SIGSTOP || process.signal == SIGTRAP || process.signal == SIGINT)) {
    process.signal = 0;
  }
  if (process.signal == 0) {
    process.signal_code = 0;
    process.fault_address.reset();
  }
  if (!notes_.threads.empty()) {
    if (process.pid == 0) process.pid = notes_.threads.front().tid;
    notes_.threads.front().crashed = process.signal != 0;
  }
  for (Thread& thread : notes_.threads)  // the only name in a core: that of the process's initial thread
    if (thread.tid == process.pid) thread.name = process.command;
  std::stable_sort(notes_.file_mappings.begin(), notes_.file_mappings.end(),
                   [](const FileMapping& a, const FileMapping& b) { return a.range.begin < b.range.begin; });
  return std::move(notes_);
}

}  // namespace

CoreNotes read_notes(const std::string& path, const Arch& arch, std::span<const Bytes> segments,
                     Diagnostics& diagnostics) {
  NoteReader reader(path, arch, diagnostics);
  for (Bytes segment : segments) reader.read_segment(segment);
  return reader.finish();
}

}  // namespace heapwalk
