#include "dwarf/location.h"

#include <llvm/BinaryFormat/Dwarf.h>

#include <algorithm>
#include <utility>

namespace heapwalk {
namespace {

namespace dw = llvm::dwarf;

constexpr size_t kMaxSteps = 1024;
constexpr size_t kMaxStack = 256;
constexpr size_t kMaxPieces = 64;

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

  // What was computed since the last piece becomes one; `piece.first` is its size in bits, 0 that of the whole variable.
  Failure add_piece(const Operation& piece) {
    if (has_pieces_ && (piece.first == 0 || piece.first > kMaxPieceBytes * 8)) return NoLocation::damaged;
    if (pieces_.size() >= kMaxPieces) return NoLocation::damaged;
    LocationPiece result{.offset_bytes = offset_bits_ / 8, .size_bytes = piece.first / 8};
    const bool is_whole_bytes = offset_bits_ % 8 == 0 && piece.first % 8 == 0 && piece.second == 0;
    offset_bits_ += piece.first;
    const bool is_nothing = place_ != Place::register_ && stack_.empty();
    bool is_known = !is_nothing && !is_lost_ && is_whole_bytes;
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
  uint64_t offset_bits_ = 0;  // of the next piece
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

std::expected<std::vector<LocationPiece>, NoLocation> locate(const LocationExpression& expression,
                                                             const FrameContext& frame) {
  const bool wants_base = std::ranges::any_of(
      expression.operations, [](const Operation& operation) { return operation.kind == OperationKind::frame_base; });
  return Evaluation(expression, frame, wants_base ? find_frame_base(frame) : std::nullopt).run();
}

}  // namespace heapwalk
