#include "dwarf/location.h"

#include <llvm/BinaryFormat/Dwarf.h>

#include <algorithm>

#include "dwarf/leb128.h"

namespace heapwalk {
namespace {

namespace dw = llvm::dwarf;

// GCC's, before DWARF 5.
constexpr uint8_t kGnuImplicitPointer = 0xf2;
constexpr uint8_t kGnuParameterRef = 0xfa;

constexpr size_t kMaxExpressionBytes = 1 << 16;
constexpr size_t kMaxSteps = 4096;
constexpr size_t kMaxStack = 256;
constexpr size_t kMaxPieces = 64;

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
      case dw::DW_OP_piece:
        return with(Kind::piece, read_uleb(reader_));
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
    const bool is_whole_bytes = *bits % 8 == 0 && *offset == 0;
    return Operation{Kind::piece, *bits / 8, is_whole_bytes ? 0u : 1u};
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

using Failure = std::optional<NoLocation>;  // of a step; nothing: it went well

class Evaluation {
 public:
  // `frame_base` is what fbreg adds to; nothing where it may not be asked for.
  Evaluation(const LocationExpression& expression, const FrameContext& frame, std::optional<uint64_t> frame_base)
      : operations_(expression.operations), frame_(frame), frame_base_(frame_base) {}

  std::expected<std::vector<LocationPiece>, NoLocation> run() {
    if (operations_.empty()) return std::unexpected(NoLocation::nowhere);
    size_t at = 0;
    for (size_t steps = 0; at < operations_.size(); ++steps) {
      if (steps >= kMaxSteps) return std::unexpected(lost_.value_or(NoLocation::damaged));
      const Operation& operation = operations_[at++];
      if (operation.kind == OperationKind::branch || operation.kind == OperationKind::jump) {
        auto condition = operation.kind == OperationKind::jump ? 1 : pop();
        if (!condition) return std::unexpected(NoLocation::damaged);
        if (*condition != 0) at = operation.first;
      } else if (auto failure = step(operation)) {
        return std::unexpected(*failure);
      }
    }
    if (!has_pieces_) {
      if (auto failure = add_piece({})) return std::unexpected(*failure);
    }
    if (pieces_.empty()) return std::unexpected(lost_.value_or(NoLocation::nowhere));
    return std::move(pieces_);
  }

 private:
  enum class Place : uint8_t { memory, register_, value };

  Failure step(const Operation& operation) {
    // A location ends its piece: nothing but a piece's size may follow.
    if (place_ != Place::memory && operation.kind != OperationKind::piece) return NoLocation::damaged;
    switch (operation.kind) {
      case OperationKind::constant:
        return push(operation.first);
      case OperationKind::address:
        return push(operation.first + frame_.bias);
      case OperationKind::register_:
        place_ = Place::register_;
        register_ = operation.first;
        return {};
      case OperationKind::base_register: {
        auto value = frame_.registers->get(operation.first);
        return value ? push(*value + operation.second) : lose(NoLocation::unknown_register);
      }
      case OperationKind::frame_base:
        return frame_base_ ? push(*frame_base_ + operation.first) : lose(NoLocation::unknown_register);
      case OperationKind::frame_address:
        return frame_.cfa ? push(*frame_.cfa) : lose(NoLocation::unknown_register);
      case OperationKind::dereference:
        return dereference(operation.first);
      case OperationKind::plus_constant:
        if (stack_.empty()) return operation.first == 0 ? Failure{} : NoLocation::damaged;
        stack_.back() += operation.first;
        return {};
      case OperationKind::pick:
        if (operation.first >= stack_.size()) return NoLocation::damaged;
        return push(stack_[stack_.size() - 1 - operation.first]);
      case OperationKind::unary:
        return unary(operation.first);
      case OperationKind::binary:
        return binary(operation.first);
      case OperationKind::stack_value:
        if (stack_.empty()) return NoLocation::damaged;
        place_ = Place::value;
        return {};
      case OperationKind::implicit_value:
        place_ = Place::value;
        if (operation.second > 8) return lose(NoLocation::unsupported);
        return push(operation.first);
      case OperationKind::piece:
        has_pieces_ = true;
        return add_piece(operation);
      case OperationKind::entry_value:
        return lose(NoLocation::entry_value);
      case OperationKind::no_place:
        return NoLocation::nowhere;
      case OperationKind::branch:
      case OperationKind::jump:
      case OperationKind::unsupported:
        return NoLocation::unsupported;
    }
    return NoLocation::unsupported;
  }

  // The rest of the piece is evaluated with a value that is unknown, and the piece is left out.
  Failure lose(NoLocation why) {
    if (!lost_) lost_ = why;
    is_lost_ = true;
    return push(0);
  }

  Failure push(uint64_t value) {
    if (stack_.size() >= kMaxStack) return NoLocation::damaged;
    stack_.push_back(value);
    return {};
  }
  std::optional<uint64_t> pop() {
    if (stack_.empty()) return std::nullopt;
    const uint64_t value = stack_.back();
    stack_.pop_back();
    return value;
  }

  Failure dereference(uint64_t size_bytes) {
    auto address = pop();
    if (!address) return NoLocation::damaged;
    if (is_lost_) return push(0);
    std::array<std::byte, 8> bytes{};
    if (!frame_.memory->copy(Address{*address}, std::span(bytes).first(size_bytes))) {
      return lose(NoLocation::absent_memory);
    }
    return push(load<uint64_t>(bytes.data()));
  }

  Failure unary(uint64_t code) {
    const size_t size = stack_.size();
    if (size < (code == dw::DW_OP_rot ? 3 : code == dw::DW_OP_swap ? 2 : 1)) return NoLocation::damaged;
    uint64_t& top = stack_.back();
    switch (code) {
      case dw::DW_OP_neg:
        top = -top;
        break;
      case dw::DW_OP_not:
        top = ~top;
        break;
      case dw::DW_OP_abs:
        top = static_cast<int64_t>(top) < 0 ? -top : top;
        break;
      case dw::DW_OP_drop:
        stack_.pop_back();
        break;
      case dw::DW_OP_swap:
        std::swap(stack_[size - 1], stack_[size - 2]);
        break;
      default:  // rot: the top goes below the two that follow
        std::rotate(stack_.end() - 3, stack_.end() - 1, stack_.end());
        break;
    }
    return {};
  }

  Failure binary(uint64_t code) {
    const auto right = pop();
    const auto left = pop();
    if (!left || !right) return NoLocation::damaged;
    auto value = compute(code, *left, *right);
    if (!value && is_lost_) return push(0);
    return value ? push(*value) : NoLocation::damaged;
  }

  static std::optional<uint64_t> compute(uint64_t code, uint64_t a, uint64_t b) {
    const auto left = static_cast<int64_t>(a);
    const auto right = static_cast<int64_t>(b);
    switch (code) {
      case dw::DW_OP_and:
        return a & b;
      case dw::DW_OP_or:
        return a | b;
      case dw::DW_OP_xor:
        return a ^ b;
      case dw::DW_OP_plus:
        return a + b;
      case dw::DW_OP_minus:
        return a - b;
      case dw::DW_OP_mul:
        return a * b;
      case dw::DW_OP_div:
        if (b == 0) return std::nullopt;
        return right == -1 ? -a : static_cast<uint64_t>(left / right);
      case dw::DW_OP_mod:
        if (b == 0) return std::nullopt;
        return a % b;
      case dw::DW_OP_shl:
        return b < 64 ? a << b : 0;
      case dw::DW_OP_shr:
        return b < 64 ? a >> b : 0;
      case dw::DW_OP_shra:
        return static_cast<uint64_t>(left >> std::min<uint64_t>(b, 63));
      case dw::DW_OP_eq:
        return left == right;
      case dw::DW_OP_ne:
        return left != right;
      case dw::DW_OP_lt:
        return left < right;
      case dw::DW_OP_le:
        return left <= right;
      case dw::DW_OP_gt:
        return left > right;
      default:  // ge
        return left >= right;
    }
  }

  // What was computed since the last piece becomes one; `piece.first` is its size, 0 that of the whole variable.
  Failure add_piece(const Operation& piece) {
    if (has_pieces_ && (piece.first == 0 || piece.first > UINT32_MAX)) return NoLocation::damaged;
    if (pieces_.size() >= kMaxPieces) return NoLocation::damaged;
    LocationPiece result{.offset_bytes = offset_, .size_bytes = piece.first};
    offset_ += piece.first;
    const bool is_nothing = place_ != Place::register_ && stack_.empty();
    bool is_known = !is_nothing && !is_lost_ && piece.second == 0;
    if (place_ == Place::register_) {
      auto value = frame_.registers->get(register_);
      if (!value && !lost_) lost_ = NoLocation::unknown_register;
      is_known = is_known && value;
      result.kind = LocationPiece::Kind::register_;
      result.value = value.value_or(0);
      result.number = static_cast<unsigned>(register_);
    } else if (!stack_.empty()) {
      result.kind = place_ == Place::value ? LocationPiece::Kind::value : LocationPiece::Kind::memory;
      result.value = stack_.back();
    }
    if (is_known) pieces_.push_back(result);
    place_ = Place::memory;
    is_lost_ = false;
    stack_.clear();
    return {};
  }

  const std::vector<Operation>& operations_;
  const FrameContext& frame_;
  std::optional<uint64_t> frame_base_;
  std::vector<uint64_t> stack_;
  std::vector<LocationPiece> pieces_;
  Place place_ = Place::memory;
  uint64_t register_ = 0;
  uint64_t offset_ = 0;
  bool has_pieces_ = false;
  bool is_lost_ = false;            // the piece
  std::optional<NoLocation> lost_;  // why the first such was
};

// A register or an address: what fbreg adds to. It is written without fbreg itself.
std::optional<uint64_t> find_frame_base(const FrameContext& frame) {
  if (frame.frame_base == nullptr) return std::nullopt;
  auto pieces = Evaluation(*frame.frame_base, frame, std::nullopt).run();
  return pieces && pieces->front().size_bytes == 0 ? std::optional(pieces->front().value) : std::nullopt;
}

}  // namespace

std::optional<LocationExpression> LocationExpression::parse(Bytes bytes, const AddressAt& address_at) {
  if (bytes.size() > kMaxExpressionBytes) return std::nullopt;
  return ExpressionParser(bytes, address_at).parse();
}

std::expected<std::vector<LocationPiece>, NoLocation> locate(const LocationExpression& expression,
                                                             const FrameContext& frame) {
  const bool wants_base = std::ranges::any_of(
      expression.operations, [](const Operation& operation) { return operation.kind == OperationKind::frame_base; });
  return Evaluation(expression, frame, wants_base ? find_frame_base(frame) : std::nullopt).run();
}

}  // namespace heapwalk
