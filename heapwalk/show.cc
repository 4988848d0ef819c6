#include "heapwalk/show.h"

#include <algorithm>

#include "heapwalk/path_description.h"

namespace heapwalk {
namespace {

constexpr uint64_t kDumpedBytes = 256;

class Shower {
 public:
  Shower(const Analysis& analysis, ObjectId object, uint64_t limit)
      : analysis_(analysis),
        graph_(analysis.graph),
        object_(object),
        node_(graph_.node_of(object)),
        limit_(limit == 0 ? UINT64_MAX : limit) {}

  ShowAnswer answer() {
    result_.object = analysis_.objects.at(object_);
    if (result_.object.allocator < analysis_.decoders.size())
      result_.allocator = analysis_.decoders[result_.object.allocator]->facts().name;
    if (result_.object.state == AllocationState::used) {
      add_facts();
      add_fields();
      add_references();
      add_referrers();
      add_dominator();
    }
    if (result_.fields.empty()) add_bytes();
    return std::move(result_);
  }

 private:
  void add_facts() {
    const TypeClaim claim = analysis_.types->type_of(analysis_.objects, object_);
    result_.type = analysis_.types->name(claim.type);
    result_.evidence = claim.evidence;
    result_.stage = analysis_.reachability.stage_of(node_);
    result_.is_garbage = result_.stage == Stage::leaked && analysis_.managed.contains(result_.object.address);
    result_.retained_bytes = analysis_.dominators.retained_bytes(node_);
    result_.retained_objects = analysis_.dominators.retained_objects({node_}, analysis_.reachability, graph_).front();
  }

  void add_fields() {
    const ObjectShape shape = analysis_.types->shape_of(object_);
    const uint64_t in_use = analysis_.types->bytes_in_use(object_, result_.object.size_bytes);
    const uint64_t header = std::min<uint64_t>(shape.header_bytes, in_use);
    const AddressRange range = AddressRange::of(result_.object.address + header, in_use - header);
    const ContainerValues containers(analysis_.types->table(), analysis_.types->containers(), analysis_.dump->memory,
                                     [this](Address address) { return type_at(address); });
    const ElementUse* use = shape.is_array ? analysis_.types->use_of(object_) : nullptr;
    const Bytes bytes =
        use == nullptr ? Bytes() : analysis_.dump->memory.read(result_.object.address, result_.object.size_bytes);
    const uint64_t each = analysis_.types->table().size_bytes(shape.element);
    IsInUse is_in_use;
    if (use != nullptr) {
      is_in_use = [&](uint64_t offset) { return use->covers(header + offset, each, bytes.data(), bytes.size()); };
    }
    result_.fields = field_values(analysis_.types->table(), analysis_.dump->memory, range, shape.element,
                                  shape.is_array, &containers, is_in_use);
    for (FieldValue& field : result_.fields) field.offset_bytes += header;
  }

  // Of the object that begins there; empty: none does, or nobody knows its type.
  std::string type_at(Address address) const {
    const std::optional<ObjectId> object = analysis_.objects.find_used(address);
    if (!object || analysis_.objects.address(*object) != address) return "";
    const TypeClaim claim = analysis_.types->type_of(analysis_.objects, *object);
    return claim.evidence == TypeEvidence::none ? "" : std::string(analysis_.types->name(claim.type));
  }

  void add_bytes() {
    const Bytes bytes =
        analysis_.dump->memory.read(result_.object.address, std::min(kDumpedBytes, result_.object.size_bytes));
    for (std::byte byte : bytes) result_.bytes.push_back(static_cast<uint8_t>(byte));
  }

  void add_references() {
    graph_.for_each_edge(node_, [&](NodeId to, EdgeKind kind) {
      if (result_.reference_count++ < limit_) result_.references.push_back(neighbour(to, node_, to, kind));
    });
  }

  // The rows lead forward only: one pass over all of them.
  void add_referrers() {
    for (uint32_t from = 0; from < graph_.node_count(); ++from) {
      const auto targets = graph_.targets(NodeId{from});
      const auto at = std::lower_bound(targets.begin(), targets.end(), node_);
      if (at == targets.end() || *at != node_ || result_.referrer_count++ >= limit_) continue;
      const EdgeKind kind = graph_.kind(NodeId{from}, static_cast<uint32_t>(at - targets.begin()));
      result_.referrers.push_back(neighbour(NodeId{from}, NodeId{from}, node_, kind));
    }
  }

  void add_dominator() {
    const NodeId dominator = analysis_.dominators.immediate_dominator(node_);
    if (dominator == kNoNode || dominator == kProcessNode || dominator == kUnreachableNode) return;
    result_.dominator = facts_of(dominator);
  }

  Neighbour facts_of(NodeId node) const {
    Neighbour facts;
    facts.retained_bytes = analysis_.dominators.retained_bytes(node);
    facts.name = node_name(analysis_, node);
    if (graph_.is_object(node)) {
      facts.address = analysis_.objects.address(graph_.object_of(node));
      facts.size_bytes = analysis_.objects.size_bytes(graph_.object_of(node));
      return facts;
    }
    const uint32_t first_root = index(root_node(analysis_.roots, 0));
    if (index(node) < first_root) {
      facts.kind = to_string(analysis_.roots.owners[index(node) - index(owner_node(analysis_.roots, 0))].kind);
      return facts;
    }
    const Root& root = analysis_.roots.roots[index(node) - first_root];
    facts.kind = to_string(root.kind);
    facts.address = root.location.begin;
    return facts;
  }

  Neighbour neighbour(NodeId which, NodeId from, NodeId to, EdgeKind edge) const {
    Neighbour result = facts_of(which);
    result.edge = edge;
    const RootPath step = describe_path(analysis_, {from, to});
    if (step.steps.size() == 2) result.field = step.steps[1].field;
    return result;
  }

  const Analysis& analysis_;
  const RetentionGraph& graph_;
  ObjectId object_;
  NodeId node_;
  uint64_t limit_;
  ShowAnswer result_;
};

}  // namespace

Result<ShowAnswer> show_object(const Analysis& analysis, Address address, uint64_t limit) {
  std::optional<ObjectId> object = analysis.objects.find(address);
  if (!object) {
    return fail("{}: object at {:#x}: wanted an address inside an allocation, found none there", analysis.dump->path,
                address.value);
  }
  return Shower(analysis, *object, limit).answer();
}

}  // namespace heapwalk
