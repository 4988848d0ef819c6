// The table of containers: one row each. What the columns mean stands in containers.h.
//
// Sources: libstdc++ 12.2 bits/stl_tree.h, stl_list.h, hashtable_policy.h, forward_list.h, shared_ptr_base.h,
// stl_vector.h, std_function.h, <any>; libc++ 14 and 19 <__tree>, <__hash_table>, <list>, <string>, <variant>,
// __memory/shared_ptr.h; Rust 1.95 library/alloc (vec, raw_vec, rc, sync, boxed, collections/btree/node.rs) and
// hashbrown's raw/mod.rs.
#include <array>

#include "heapwalk/containers.h"

namespace heapwalk {
namespace {

constexpr int kSelf = ContainerRule::kSelf;
constexpr std::string_view kTreeBases = "std::__1::__tree_node_base|std::__1::__tree_end_node";
constexpr std::string_view kLeafNode = "alloc::collections::btree::node::LeafNode";
constexpr std::string_view kInternalNode = "alloc::collections::btree::node::InternalNode";

constexpr auto kRules = std::to_array<ContainerRule>({
    // libstdc++
    {.record = "std::_Vector_base", .first = "_M_start", .end = "_M_finish", .limit = "_M_end_of_storage"},
    {.record = "std::__cxx11::basic_string", .first = "_M_p", .length = "_M_string_length"},
    {.record = "std::deque"},
    {.record = "std::_Deque_base"},
    {.record = "std::_Rb_tree", .base = "std::_Rb_tree_node_base", .node = "std::_Rb_tree_node", .node_argument = 1},
    {.record = "std::_Rb_tree_node",
     .base = "std::_Rb_tree_node_base",
     .node_argument = kSelf,
     .storage = "_M_storage",
     .storage_argument = 0},
    {.record = "std::__cxx11::_List_base",
     .base = "std::__detail::_List_node_base",
     .node = "std::_List_node",
     .node_argument = 0},
    {.record = "std::_List_node",
     .base = "std::__detail::_List_node_base",
     .node_argument = kSelf,
     .storage = "_M_storage",
     .storage_argument = 0},
    {.record = "std::_Fwd_list_base",
     .base = "std::_Fwd_list_node_base",
     .node = "std::_Fwd_list_node",
     .node_argument = 0},
    {.record = "std::_Fwd_list_node",
     .base = "std::_Fwd_list_node_base",
     .node_argument = kSelf,
     .storage = "_M_storage",
     .storage_argument = 0},
    {.record = "std::_Hashtable",
     .base = "std::__detail::_Hash_node_base",
     .node = "std::__detail::_Hash_node",
     .node_argument = 1},
    {.record = "std::__detail::_Hash_node",
     .base = "std::__detail::_Hash_node_base",
     .node_argument = kSelf,
     .storage = "_M_storage",
     .storage_argument = 0},
    {.record = "std::_Sp_counted_ptr_inplace", .storage = "_M_storage", .storage_argument = 0},
    {.record = "std::unique_ptr"},
    {.record = "std::__shared_ptr"},
    {.record = "std::__weak_ptr"},
    {.record = "std::_Function_base", .object = "_M_object", .vtable = "_M_manager"},
    {.record = "std::any", .object = "_M_ptr", .vtable = "_M_manager"},
    {.record = "std::_Optional_payload_base", .engaged = "_M_engaged"},
    {.record = "std::__detail::__variant::_Variant_storage", .choice = "_M_index", .rest = "_M_rest"},

    // libc++: its nodes hold their values as they are
    {.record = "std::__1::vector", .first = "__begin_", .end = "__end_", .limit = "__end_cap_|__cap_"},
    {.record = "std::__1::__split_buffer", .first = "__first_", .end = "__end_", .limit = "__end_cap_|__cap_"},
    {.record = "std::__1::basic_string", .first = "__l.__data_", .length = "__l.__size_", .is_long = "__s.__size_"},
    {.record = "std::__1::__tree", .base = kTreeBases, .node = "std::__1::__tree_node", .node_argument = 0},
    {.record = "std::__1::__tree_node",
     .base = kTreeBases,
     .node_argument = kSelf,
     .storage = "__value_",
     .storage_argument = 0},
    {.record = "std::__1::__list_imp",
     .base = "std::__1::__list_node_base",
     .node = "std::__1::__list_node",
     .node_argument = 0},
    {.record = "std::__1::__list_node",
     .base = "std::__1::__list_node_base",
     .node_argument = kSelf,
     .storage = "__value_",
     .storage_argument = 0},
    {.record = "std::__1::__forward_list_base",
     .base = "std::__1::__forward_begin_node",
     .node = "std::__1::__forward_list_node",
     .node_argument = 0},
    {.record = "std::__1::__forward_list_node",
     .base = "std::__1::__forward_begin_node",
     .node_argument = kSelf,
     .storage = "__value_",
     .storage_argument = 0},
    {.record = "std::__1::__hash_table",
     .base = "std::__1::__hash_node_base",
     .node = "std::__1::__hash_node",
     .node_argument = 0},
    {.record = "std::__1::__hash_node",
     .base = "std::__1::__hash_node_base",
     .node_argument = kSelf,
     .storage = "__value_",
     .storage_argument = 0},
    {.record = "std::__1::__shared_ptr_emplace", .storage = "__blob_|__buffer_", .storage_argument = 0},
    {.record = "std::__1::__shared_ptr_pointer"},
    {.record = "std::__1::unique_ptr"},
    {.record = "std::__1::shared_ptr"},
    {.record = "std::__1::weak_ptr"},
    {.record = "std::__1::any", .object = "__ptr", .vtable = "__h_|__h"},
    {.record = "std::__1::__optional_destruct_base", .engaged = "__engaged_"},
    {.record = "std::__1::__variant_detail::__base", .choice = "__index", .rest = "__tail"},

    // Rust
    {.record = "alloc::vec::Vec", .first = "pointer", .element_argument = 0, .count = "len", .capacity = "cap"},
    {.record = "alloc::collections::vec_deque::VecDeque", .first = "pointer", .element_argument = 0, .capacity = "cap"},
    {.record = "alloc::boxed::Box",
     .first = "data_ptr",
     .count = "length",
     .capacity = "length",
     .object = "pointer",
     .vtable = "vtable"},
    {.record = "alloc::rc::Rc", .object = "pointer", .vtable = "vtable"},
    {.record = "alloc::rc::Weak", .object = "pointer", .vtable = "vtable"},
    {.record = "alloc::sync::Arc", .object = "pointer", .vtable = "vtable"},
    {.record = "alloc::sync::Weak", .object = "pointer", .vtable = "vtable"},
    {.record = "hashbrown::raw::RawTable", .first = "ctrl", .element_argument = 0, .mask = "bucket_mask"},
    {.record = "alloc::collections::linked_list::LinkedList"},
    {.record = "alloc::collections::btree::node::NodeRef", .small = kLeafNode, .large = kInternalNode},
    {.record = kLeafNode, .filled = "len"},
    {.record = kInternalNode, .small = kLeafNode, .large = kInternalNode, .filled = "len", .filled_more = 1},
});

}  // namespace

std::span<const ContainerRule> container_rules() {
  return kRules;
}

}  // namespace heapwalk
