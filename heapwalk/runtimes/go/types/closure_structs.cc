#include "heapwalk/runtimes/go/types/closure_structs.h"

#include <algorithm>
#include <utility>

namespace heapwalk::go {
namespace {

constexpr uint64_t kNear = 256;  // bytes of code between the two addresses: the values captured may be moved there

// `lea disp32(%rip), %reg` with a 64-bit register: the address it makes.
bool is_address_taken(const std::byte* code, Address next, Address& target) {
  const auto rex = static_cast<uint8_t>(code[0]), opcode = static_cast<uint8_t>(code[1]),
             operand = static_cast<uint8_t>(code[2]);
  if ((rex != 0x48 && rex != 0x4c) || opcode != 0x8d || (operand & 0xc7) != 0x05) return false;
  target = next + static_cast<uint64_t>(int64_t{load<int32_t>(code + 3)});
  return true;
}

class Matcher {
 public:
  Matcher(const AddressSpace& memory, const Functions& functions, const std::vector<Address>& structs)
      : memory_(memory), functions_(functions), structs_(structs) {}

  void scan(AddressRange text) {
    constexpr uint64_t kInstruction = 7;
    const Bytes code = memory_.read(text.begin, text.size_bytes());
    Address type;
    uint64_t type_at = 0;
    for (uint64_t i = 0; i + kInstruction <= code.size(); ++i) {
      Address target;
      if (!is_address_taken(code.data() + i, text.begin + i + kInstruction, target)) continue;
      if (std::ranges::binary_search(structs_, target)) {
        type = target;
        type_at = i;
      } else if (type && i - type_at <= kNear && text.contains(target)) {
        const auto function = functions_.find(target);
        if (!function || function->entry() != target) continue;
        const auto [at, is_new] = matches_.try_emplace(target, type);
        if (!is_new && at->second != type) at->second = Address{};
        type = Address{};
      }
    }
  }

  std::unordered_map<Address, Address> take() && {
    std::erase_if(matches_, [](const auto& each) { return !each.second; });
    return std::move(matches_);
  }

 private:
  const AddressSpace& memory_;
  const Functions& functions_;
  const std::vector<Address>& structs_;
  std::unordered_map<Address, Address> matches_;
};

}  // namespace

std::unordered_map<Address, Address> match_closure_structs(const AddressSpace& memory, const Process& process,
                                                           const Functions& functions,
                                                           const std::vector<Address>& structs) {
  if (structs.empty()) return {};
  Matcher matcher(memory, functions, structs);
  for (const ModuleData& module : process.modules) matcher.scan(module.text);
  return std::move(matcher).take();
}

}  // namespace heapwalk::go
