// Bytes to operations: what differs in encoding only becomes one kind of operation. What the parser cannot measure ends the
// expression there, as an operation that no evaluation gets past.
#include <llvm/BinaryFormat/Dwarf.h>

#include <algorithm>
#include <cstring>

#include "dwarf/leb128.h"
#include "dwarf/location.h"

namespace heapwalk {
namespace {

namespace dw = llvm::dwarf;

// GCC's, before DWARF 5.
constexpr uint8_t kGnuImplicitPointer = 0xf2;
constexpr uint8_t kGnuParameterRef = 0xfa;

constexpr size_t kMaxExpressionBytes = 1 << 16;

// Reads the operations one by one. A branch names a byte; it is turned into an operation's number when all are known.
class ExpressionParser {
 public:
  ExpressionParser(Bytes bytes, const LocationExpression::AddressAt& address_at)
      : reader_(bytes), address_at_(address_at) {}

  std::optional<LocationExpression> parse() {
    while (reader_.remaining() > 0) {
      begins_.push_back(reader_.offset());
      auto operation = read_operation();
      if (!operation) return std::nullopt;
      result_.operations.push_back(*operation);
    }
    begins_.push_back(reader_.offset());
    for (Operation& operation : result_.operations) {
      if (operation.kind != OperationKind::branch && operation.kind != OperationKind::jump) continue;
      auto target = std::ranges::lower_bound(begins_, operation.first);
      if (target == begins_.end() || *target != operation.first) return std::nullopt;
      operation.first = static_cast<uint64_t>(target - begins_.begin());
    }
    return std::move(result_);
  }

 private:
  using Kind = OperationKind;

  std::optional<Operation> read_operation() {
    const uint8_t code = reader_.read<uint8_t>().value_or(0);
    if (code >= dw::DW_OP_lit0 && code <= dw::DW_OP_lit31) {
      return Operation{Kind::constant, static_cast<uint64_t>(code - dw::DW_OP_lit0)};
    }
    if (code >= dw::DW_OP_reg0 && code <= dw::DW_OP_reg31) {
      return Operation{Kind::register_, static_cast<uint64_t>(code - dw::DW_OP_reg0)};
    }
    if (code >= dw::DW_OP_breg0 && code <= dw::DW_OP_breg31) {
      return base_register(static_cast<uint64_t>(code - dw::DW_OP_breg0));
    }
    if (auto constant = read_constant(code)) return constant;
    if (is_truncated_) return std::nullopt;
    switch (code) {
      case dw::DW_OP_addr:
        return with(Kind::address, reader_.read<uint64_t>());
      case dw::DW_OP_addrx:
      case dw::DW_OP_GNU_addr_index:
        return with(Kind::address, indexed_address());
      case dw::DW_OP_regx:
        return with(Kind::register_, read_uleb(reader_));
      case dw::DW_OP_bregx: {
        auto number = read_uleb(reader_);
        return number ? base_register(*number) : std::nullopt;
      }
      case dw::DW_OP_fbreg:
        return with(Kind::frame_base, signed_number());
      case dw::DW_OP_call_frame_cfa:
        return Operation{Kind::frame_address};
      case dw::DW_OP_deref:
        return Operation{Kind::dereference, 8};
      case dw::DW_OP_deref_size: {
        auto size = reader_.read<uint8_t>();
        if (!size || *size == 0 || *size > 8) return std::nullopt;
        return Operation{Kind::dereference, *size};
      }
      case dw::DW_OP_plus_uconst:
        return with(Kind::plus_constant, read_uleb(reader_));
      case dw::DW_OP_stack_value:
        return Operation{Kind::stack_value};
      case dw::DW_OP_dup:
        return Operation{Kind::pick, 0};
      case dw::DW_OP_over:
        return Operation{Kind::pick, 1};
      case dw::DW_OP_pick:
        return with(Kind::pick, reader_.read<uint8_t>());
      case dw::DW_OP_bra:
        return with(Kind::branch, branch_target());
      case dw::DW_OP_skip:
        return with(Kind::jump, branch_target());
      case dw::DW_OP_nop:
        return Operation{Kind::plus_constant, 0};
      default:
        return read_rarer_operation(code);
    }
  }

  std::optional<Operation> read_constant(uint8_t code) {
    std::optional<uint64_t> value;
    switch (code) {
      case dw::DW_OP_const1u:
        value = reader_.read<uint8_t>();
        break;
      case dw::DW_OP_const1s:
        value = extended(reader_.read<int8_t>());
        break;
      case dw::DW_OP_const2u:
        value = reader_.read<uint16_t>();
        break;
      case dw::DW_OP_const2s:
        value = extended(reader_.read<int16_t>());
        break;
      case dw::DW_OP_const4u:
        value = reader_.read<uint32_t>();
        break;
      case dw::DW_OP_const4s:
        value = extended(reader_.read<int32_t>());
        break;
      case dw::DW_OP_const8u:
      case dw::DW_OP_const8s:
        value = reader_.read<uint64_t>();
        break;
      case dw::DW_OP_constu:
        value = read_uleb(reader_);
        break;
      case dw::DW_OP_consts:
        value = signed_number();
        break;
      case dw::DW_OP_constx:
      case dw::DW_OP_GNU_const_index:
        value = indexed_address();
        break;
      default:
        return std::nullopt;
    }
    is_truncated_ = !value;
    return with(Kind::constant, value);
  }

  std::optional<Operation> read_rarer_operation(uint8_t code) {
    switch (code) {
      case dw::DW_OP_piece: {
        auto bytes = read_uleb(reader_);
        return bytes ? std::optional(Operation{Kind::piece, std::min(*bytes, kMaxPieceBytes + 1) * 8}) : std::nullopt;
      }
      case dw::DW_OP_bit_piece:
        return read_bit_piece();
      case dw::DW_OP_implicit_value:
        return read_implicit_value();
      case dw::DW_OP_entry_value:
      case dw::DW_OP_GNU_entry_value:
        return skip_block(Kind::entry_value);
      case dw::DW_OP_implicit_pointer:
      case kGnuImplicitPointer:  // the size of the reference is the unit's; nothing after it is of use
      case kGnuParameterRef:
        return rest_is(Kind::no_place);
      case dw::DW_OP_neg:
      case dw::DW_OP_not:
      case dw::DW_OP_abs:
      case dw::DW_OP_drop:
      case dw::DW_OP_swap:
      case dw::DW_OP_rot:
        return Operation{Kind::unary, code};
      case dw::DW_OP_and:
      case dw::DW_OP_div:
      case dw::DW_OP_minus:
      case dw::DW_OP_mod:
      case dw::DW_OP_mul:
      case dw::DW_OP_or:
      case dw::DW_OP_plus:
      case dw::DW_OP_shl:
      case dw::DW_OP_shr:
      case dw::DW_OP_shra:
      case dw::DW_OP_xor:
      case dw::DW_OP_eq:
      case dw::DW_OP_ge:
      case dw::DW_OP_gt:
      case dw::DW_OP_le:
      case dw::DW_OP_lt:
      case dw::DW_OP_ne:
        return Operation{Kind::binary, code};
      default:
        return rest_is(Kind::unsupported);
    }
  }

  static std::optional<Operation> with(Kind kind, std::optional<uint64_t> first) {
    return first ? std::optional(Operation{kind, *first}) : std::nullopt;
  }
  template <class T>
  static std::optional<uint64_t> extended(std::optional<T> value) {
    return value ? std::optional(static_cast<uint64_t>(int64_t{*value})) : std::nullopt;
  }
  std::optional<uint64_t> signed_number() { return extended(read_sleb(reader_)); }
  std::optional<Operation> base_register(uint64_t number) {
    auto offset = signed_number();
    return offset ? std::optional(Operation{Kind::base_register, number, *offset}) : std::nullopt;
  }
  std::optional<uint64_t> indexed_address() {
    auto index = read_uleb(reader_);
    return index ? address_at_(*index) : std::nullopt;
  }
  std::optional<uint64_t> branch_target() {
    auto distance = reader_.read<int16_t>();
    if (!distance) return std::nullopt;
    return reader_.offset() + static_cast<uint64_t>(int64_t{*distance});
  }
  std::optional<Operation> read_bit_piece() {
    auto bits = read_uleb(reader_);
    auto offset = read_uleb(reader_);
    if (!bits || !offset) return std::nullopt;
    return Operation{Kind::piece, *bits, *offset == 0 ? 0u : 1u};
  }
  std::optional<Operation> read_implicit_value() {
    auto size = read_uleb(reader_);
    auto block = size ? reader_.read_bytes(*size) : std::nullopt;
    if (!block) return std::nullopt;
    uint64_t value = 0;
    std::memcpy(&value, block->data(), std::min<size_t>(block->size(), 8));
    return Operation{Kind::implicit_value, value, *size};
  }
  std::optional<Operation> skip_block(Kind kind) {
    auto size = read_uleb(reader_);
    if (!size || !reader_.skip(*size)) return std::nullopt;
    return Operation{kind};
  }
  // How long the operation is cannot be told, or does not matter: it ends every evaluation.
  std::optional<Operation> rest_is(Kind kind) {
    reader_.skip(reader_.remaining());
    return Operation{kind};
  }

  ByteReader reader_;
  const LocationExpression::AddressAt& address_at_;
  LocationExpression result_;
  std::vector<uint64_t> begins_;  // of the operations, in bytes
  bool is_truncated_ = false;
};

}  // namespace

std::optional<LocationExpression> LocationExpression::parse(Bytes bytes, const AddressAt& address_at) {
  if (bytes.size() > kMaxExpressionBytes) return std::nullopt;
  return ExpressionParser(bytes, address_at).parse();
}

}  // namespace heapwalk
