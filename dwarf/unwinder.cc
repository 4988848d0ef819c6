// libdwfl is given three things: the modules (our own file paths at our own bias), the registers of one thread, and a
// function that reads a word of the process. The word comes from the AddressSpace, by binary search over regions.
// Separate debug files are ours to find, so that libdwfl never searches the disk or asks a server.
#include "dwarf/unwinder.h"

#include <elf.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <unordered_map>
#include <vector>

namespace heapwalk {

namespace {

// What libdwfl's callbacks are told about a module.
struct Reported {
  const Module* module = nullptr;
  std::vector<char> image;  // a copy of what has no file (the vDSO), for elf_memory
};

// "main.cold", "parse.constprop.0" → "main", "parse": compilers split functions and make copies for some of their callers.
std::string_view without_clone_suffix(std::string_view symbol) {
  size_t end = symbol.size();
  for (std::string_view suffix : {".cold", ".part.", ".isra.", ".constprop.", ".lto_priv.", ".llvm."})
    end = std::min(end, symbol.find(suffix));
  return end == 0 ? symbol : symbol.substr(0, end);
}

// Where a function keeps the registers of its caller, at one of its instructions.
struct SaveRules {
  uint64_t untouched = 0;  // by register: it is where the caller left it
  uint64_t on_stack = 0;   // by register: at the CFA plus its offset
  std::array<uint64_t, FrameRegisters::kCount> offsets{};
};

constexpr uint8_t kCallFrameCfa = 0x9c;  // DW_OP_call_frame_cfa
constexpr uint8_t kPlusConstant = 0x23;  // DW_OP_plus_uconst

}  // namespace

struct Unwinder::State {
  const CoreDump* dump = nullptr;
  Dwfl* dwfl = nullptr;
  const Thread* thread = nullptr;        // the one being unwound
  std::vector<Frame>* frames = nullptr;  // of that thread
  size_t max_frames = 0;
  size_t broken_stacks = 0;
  std::unordered_map<Address, SaveRules> save_rules;  // by lookup pc
  std::unordered_map<Address, std::string> names;     // of functions, by lookup pc: threads share most of them
  Elf64_Ehdr machine{};  // an ELF file of one header: tells libdwfl the architecture, even where no module has a file
  Elf* machine_elf = nullptr;
  std::vector<Reported> reported;  // libdwfl's user data of each module; reserved once, so that elements stay put

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (dwfl != nullptr) dwfl_end(dwfl);
    if (machine_elf != nullptr) elf_end(machine_elf);
  }
};

namespace {

constexpr pid_t kAnyThread = 1;  // libdwfl wants a number; which thread it means is State::thread
constexpr uint64_t kMaxImageBytes = 1 << 20;

// x86-64 psABI, figure 3.36: DWARF register numbers.
constexpr std::string_view kDwarfX86[] = {"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8",
                                          "r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rip"};
constexpr unsigned kStackPointerX86 = 7;
constexpr unsigned kStackPointerArm = 31;  // AADWARF64: x0…x30, sp

int find_elf(Dwfl_Module*, void** userdata, const char*, Dwarf_Addr, char** file_name, Elf** elf) {
  // Only modules without a file come here: their image was put into userdata.
  auto* reported = static_cast<Reported*>(*userdata);
  *file_name = nullptr;
  const bool has_image = reported != nullptr && !reported->image.empty();
  *elf = has_image ? elf_memory(reported->image.data(), reported->image.size()) : nullptr;
  return -1;
}

int find_debuginfo(Dwfl_Module*, void** userdata, const char*, Dwarf_Addr, const char*, const char*, GElf_Word,
                   char** debuginfo_file_name) {
  const auto* reported = static_cast<const Reported*>(*userdata);
  *debuginfo_file_name = nullptr;
  if (reported == nullptr || reported->module->debug_file_path.empty()) return -1;
  const char* path = reported->module->debug_file_path.c_str();
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd >= 0) *debuginfo_file_name = ::strdup(path);
  return fd;
}

Elf64_Ehdr machine_header(Architecture architecture) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_EXEC;
  header.e_machine = architecture == Architecture::x86_64 ? EM_X86_64 : EM_AARCH64;
  header.e_version = EV_CURRENT;
  header.e_ehsize = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_shentsize = sizeof(Elf64_Shdr);
  return header;
}

const Dwfl_Callbacks kModuleCallbacks = {.find_elf = find_elf,
                                         .find_debuginfo = find_debuginfo,
                                         .section_address = dwfl_offline_section_address,
                                         .debuginfo_path = nullptr};

}  // namespace

// The callbacks see the state through libdwfl's untyped arguments.
struct UnwinderCallbacks {
  using State = Unwinder::State;

  static bool get_thread(Dwfl*, pid_t, void* argument, void** thread_argument) {
    *thread_argument = argument;
    return true;
  }

  static pid_t next_thread(Dwfl*, void* argument, void** thread_argument) {
    if (*thread_argument != nullptr) return 0;
    *thread_argument = argument;
    return kAnyThread;
  }

  static bool memory_read(Dwfl*, Dwarf_Addr address, Dwarf_Word* result, void* argument) {
    auto word = static_cast<State*>(argument)->dump->memory.read_word(Address{address});
    if (word) *result = *word;
    return word.has_value();
  }

  static bool set_initial_registers(Dwfl_Thread* thread, void* argument) {
    const State& state = *static_cast<State*>(argument);
    Dwarf_Word registers[32] = {};
    if (state.dump->process.architecture == Architecture::x86_64) {
      for (size_t i = 0; i < std::size(kDwarfX86); ++i)
        registers[i] = state.thread->register_value(kDwarfX86[i]).value_or(0);
      return dwfl_thread_state_registers(thread, 0, std::size(kDwarfX86), registers);
    }
    for (size_t i = 0; i < 31; ++i) registers[i] = state.thread->register_value("x" + std::to_string(i)).value_or(0);
    registers[kStackPointerArm] = state.thread->stack_pointer.value;
    if (!dwfl_thread_state_registers(thread, 0, 32, registers)) return false;
    dwfl_thread_state_register_pc(thread, state.thread->program_counter.value);
    return true;
  }

  static int add_frame(Dwfl_Frame* frame, void* argument) {
    State& state = *static_cast<State*>(argument);
    std::vector<Frame>& frames = *state.frames;
    Dwarf_Addr pc = 0;
    bool is_activation = false;  // the pc is the next instruction to run, not a return address
    if (!dwfl_frame_pc(frame, &pc, &is_activation)) return DWARF_CB_ABORT;
    const bool x86 = state.dump->process.architecture == Architecture::x86_64;
    Dwarf_Word sp = 0;
    if (dwfl_frame_reg(frame, x86 ? kStackPointerX86 : kStackPointerArm, &sp) != 0) return DWARF_CB_ABORT;
    // libdwfl calls both the kernel's trampoline and the interrupted frame above it activations.
    const bool is_innermost = frames.empty();
    const bool is_interrupted = !is_innermost && frames.back().signal_frame;
    // x86-64 psABI §3.2.2: the stack pointer of the caller, right after the call, is the callee's CFA.
    if (!is_innermost && !is_interrupted) frames.back().cfa = sp;
    Frame& added = frames.emplace_back();
    added.pc = Address{pc};
    added.cfa_or_sp = Address{sp};
    added.signal_frame = is_activation && !is_innermost && !is_interrupted;
    // A return address may already belong to the next function: the call before it does not.
    added.lookup_pc = is_activation ? added.pc : added.pc - 1;
    if (is_innermost) {
      for (unsigned number = 0; number < (x86 ? std::size(kDwarfX86) : 32); ++number)
        if (Dwarf_Word value = 0; dwfl_frame_reg(frame, number, &value) == 0) added.registers.set(number, value);
    } else {
      restore_registers(state, frame, frames[frames.size() - 2], added);
    }
    return frames.size() < state.max_frames ? DWARF_CB_OK : DWARF_CB_ABORT;
  }

  // Of a caller, only the registers that its callee had to preserve: the others are gone. Of an interrupted frame, all.
  static void restore_registers(State& state, Dwfl_Frame* frame, const Frame& callee, Frame& caller) {
    const bool x86 = state.dump->process.architecture == Architecture::x86_64;
    const SaveRules* rules = callee.signal_frame ? nullptr : &save_rules(state, callee.lookup_pc);
    for (unsigned number = 0; number < (x86 ? std::size(kDwarfX86) : 32); ++number) {
      if (rules != nullptr && !is_preserved(number, x86)) continue;
      Dwarf_Word value = 0;
      const bool is_known = dwfl_frame_reg(frame, number, &value) == 0;
      if (rules != nullptr && (rules->untouched >> number & 1) != 0) {
        // elfutils 0.188 takes rax for rbx here, and forgets rbx (backends/x86_64_cfi.c).
        if (auto same = callee.registers.get(number))
          caller.registers.set(number, *same, callee.registers.places[number]);
      } else if (is_known) {
        const bool is_on_stack = rules != nullptr && (rules->on_stack >> number & 1) != 0 && callee.cfa;
        caller.registers.set(number, value,
                             is_on_stack ? *callee.cfa + rules->offsets[number] : FrameRegisters::kSomewhere);
      }
    }
  }

  // What the call frame information says of the caller's registers while the instruction at the pc runs.
  static const SaveRules& save_rules(State& state, Address pc) {
    auto [at, is_new] = state.save_rules.try_emplace(pc);
    if (!is_new) return at->second;
    Dwfl_Module* module = dwfl_addrmodule(state.dwfl, pc.value);
    for (auto cfi_of : {dwfl_module_eh_cfi, dwfl_module_dwarf_cfi}) {
      Dwarf_Addr bias = 0;
      Dwarf_CFI* cfi = module == nullptr ? nullptr : cfi_of(module, &bias);
      Dwarf_Frame* found = nullptr;
      if (cfi == nullptr || dwarf_cfi_addrframe(cfi, pc.value - bias, &found) != 0) continue;
      const std::unique_ptr<Dwarf_Frame, decltype(&std::free)> frame(found, &std::free);
      for (unsigned number = 0; number < FrameRegisters::kCount; ++number) add_rule(frame.get(), number, at->second);
      break;
    }
    return at->second;
  }

  static void add_rule(Dwarf_Frame* frame, unsigned number, SaveRules& rules) {
    Dwarf_Op memory[3];
    Dwarf_Op* operations = nullptr;
    size_t count = 0;
    if (dwarf_frame_register(frame, static_cast<int>(number), memory, &operations, &count) != 0) return;
    if (count == 0) {  // the same value, or nothing is said
      rules.untouched |= uint64_t{1} << number;
    } else if (operations[0].atom == kCallFrameCfa &&
               (count == 1 || (count == 2 && operations[1].atom == kPlusConstant))) {
      rules.on_stack |= uint64_t{1} << number;
      rules.offsets[number] = count == 1 ? 0 : operations[1].number;
    }
  }

  // x86-64 psABI, figure 3.4: rbx, rbp, r12–r15, and rsp; AAPCS64 §6.1.1: x19–x29, sp.
  static bool is_preserved(unsigned number, bool x86) {
    if (x86) return number == 3 || number == 6 || number == kStackPointerX86 || (number >= 12 && number <= 15);
    return (number >= 19 && number <= 29) || number == kStackPointerArm;
  }

  static void name_frame(State& state, Frame& frame) {
    auto [at, is_new] = state.names.try_emplace(frame.lookup_pc);
    if (is_new) {
      if (const Module* module = state.dump->find_module(frame.lookup_pc))
        if (const Symbol* symbol = module->find_symbol(frame.lookup_pc))
          at->second = demangle(without_clone_suffix(symbol->name));
    }
    frame.function = at->second;
  }

  // Returns false when the stack ends before its outermost frame.
  static bool walk(State& state, const Thread& thread, size_t max_frames, std::vector<Frame>& frames) {
    state.thread = &thread;
    state.frames = &frames;
    state.max_frames = max_frames;
    const int status = dwfl_getthread_frames(state.dwfl, kAnyThread, add_frame, &state);
    // Without call frame information for the pc there is still the innermost frame itself.
    if (frames.empty() && max_frames > 0) {
      Frame& innermost = frames.emplace_back();
      innermost.pc = innermost.lookup_pc = thread.program_counter;
      innermost.cfa_or_sp = thread.stack_pointer;
    }
    return status != -1;
  }

  static constexpr Dwfl_Thread_Callbacks kCallbacks = {.next_thread = next_thread,
                                                       .get_thread = get_thread,
                                                       .memory_read = memory_read,
                                                       .set_initial_registers = set_initial_registers,
                                                       .detach = nullptr,
                                                       .thread_detach = nullptr};

  static void report_module(State& state, const Module& module) {
    const uint64_t size = module.range.size_bytes();
    Reported reported{.module = &module, .image = {}};
    Dwfl_Module* added = nullptr;
    if (!module.file_path.empty()) {
      added = dwfl_report_elf(state.dwfl, module.name.c_str(), module.file_path.c_str(), -1, module.bias, true);
    } else if (size > 0 && size <= kMaxImageBytes) {  // no file, but the whole image may be in the core: the vDSO
      Bytes bytes = state.dump->memory.read_exactly(module.range.begin, size);
      const auto* begin = reinterpret_cast<const char*>(bytes.data());
      reported.image.assign(begin, begin + bytes.size());
      if (!bytes.empty())
        added = dwfl_report_module(state.dwfl, module.name.c_str(), module.range.begin.value, module.range.end.value);
    }
    if (added == nullptr) return;
    void** userdata = nullptr;
    dwfl_module_info(added, &userdata, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
    state.reported.push_back(std::move(reported));
    *userdata = &state.reported.back();
  }
};

Unwinder::Unwinder(std::unique_ptr<State> state) : state_(std::move(state)) {}
Unwinder::~Unwinder() = default;
Unwinder::Unwinder(Unwinder&&) noexcept = default;
Unwinder& Unwinder::operator=(Unwinder&&) noexcept = default;

Result<Unwinder> Unwinder::create(const CoreDump& dump) {
  elf_version(EV_CURRENT);
  auto state = std::make_unique<State>();
  state->dump = &dump;
  state->reported.reserve(dump.modules.size());
  state->dwfl = dwfl_begin(&kModuleCallbacks);
  if (state->dwfl == nullptr) return fail("{}: unwinding: libdwfl: {}", dump.path, dwfl_errmsg(-1));
  dwfl_report_begin(state->dwfl);
  for (const Module& module : dump.modules) UnwinderCallbacks::report_module(*state, module);
  if (dwfl_report_end(state->dwfl, nullptr, nullptr) != 0)
    return fail("{}: unwinding: modules: libdwfl: {}", dump.path, dwfl_errmsg(-1));
  state->machine = machine_header(dump.process.architecture);
  state->machine_elf = elf_memory(reinterpret_cast<char*>(&state->machine), sizeof state->machine);
  if (!dwfl_attach_state(state->dwfl, state->machine_elf, kAnyThread, &UnwinderCallbacks::kCallbacks, state.get()))
    return fail("{}: unwinding: libdwfl: {}", dump.path, dwfl_errmsg(-1));
  return Unwinder(std::move(state));
}

std::vector<Frame> Unwinder::unwind(const Thread& thread, size_t max_frames) {
  std::vector<Frame> frames;
  if (!UnwinderCallbacks::walk(*state_, thread, max_frames, frames)) ++state_->broken_stacks;
  for (Frame& frame : frames) UnwinderCallbacks::name_frame(*state_, frame);
  return frames;
}

std::vector<Address> Unwinder::lookup_pcs(const Thread& thread, size_t max_frames) {
  std::vector<Frame> frames;
  UnwinderCallbacks::walk(*state_, thread, max_frames, frames);
  std::vector<Address> pcs;
  pcs.reserve(frames.size());
  for (const Frame& frame : frames) pcs.push_back(frame.lookup_pc);
  return pcs;
}

std::optional<unsigned> dwarf_register(Architecture architecture, std::string_view name) {
  for (unsigned i = 0; i < FrameRegisters::kCount; ++i) {
    if (architecture == Architecture::x86_64) {
      if (i < std::size(kDwarfX86) && kDwarfX86[i] == name) return i;
    } else if (name == (i == kStackPointerArm ? "sp" : "x" + std::to_string(i))) {
      return i;
    }
  }
  return std::nullopt;
}

size_t Unwinder::broken_stacks() const {
  return state_->broken_stacks;
}

}  // namespace heapwalk
