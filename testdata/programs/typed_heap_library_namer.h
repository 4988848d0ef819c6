// How typed_heap_libraries.cc gives the blocks of abseil's and boost's containers their types: the Namer's ways, for further
// containers.
//
//   a block that holds elements     is found by the address of one
//   a table                         by the word of the container that leads to a block: it refers to no other
//
// What absl calls the nodes of its trees is the first argument of their iterators.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
#include <absl/container/fixed_array.h>
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/container/inlined_vector.h>
#include <absl/container/node_hash_map.h>
#include <absl/container/node_hash_set.h>

#include <boost/container/flat_map.hpp>
#include <boost/container/flat_set.hpp>
#include <boost/container/small_vector.hpp>
#include <boost/container/static_vector.hpp>
#include <boost/container/vector.hpp>
#include <boost/unordered_map.hpp>
#include <boost/unordered_set.hpp>

#include "typed_heap_namer.h"

// Whether the container refers to a block, which is named if it has no name yet.
template <class T, class Container>
bool name_table(const Container& container, bool is_inside) {
  if (is_inside) return false;
  for (size_t i = 0; i < sizeof container / sizeof(void*); ++i) {
    const truth_block* block = truth_find(word_of(container, i));
    if (block == nullptr) continue;
    truth_name(word_of(container, i), typeid(T).name(), 1);
    return true;
  }
  return false;
}

// Later versions keep one small element where the pointers would be: anything may be there when there is none.
#if defined(ABSL_LTS_RELEASE_VERSION) && ABSL_LTS_RELEASE_VERSION < 20240722
inline constexpr bool kKeepsOneInside = false;
#else
inline constexpr bool kKeepsOneInside = true;
#endif

template <class Slot, class Table>
void name_swiss_table(Namer& namer, const Table& table) {
  const bool holds_nodes = std::is_pointer_v<Slot>;
  constexpr size_t kInsideBytes = sizeof(Table) < 24 ? 8 : 16;
  const bool is_inside =
      kKeepsOneInside && (table.capacity() == 0 || (table.capacity() == 1 && sizeof(Slot) <= kInsideBytes));
  for (const auto& element : table) {
    if (holds_nodes) namer.name_object(element);
    namer.visit(element);
  }
  const bool has_memory = name_table<Slot>(table, is_inside);
  count_container(typeid(table).name(), table.size(),
                  has_memory ? (table.capacity() - table.size()) * sizeof(Slot) : 0);
}
template <class K, class V, class H, class E, class A>
void name_library_parts(Namer& namer, const absl::flat_hash_map<K, V, H, E, A>& map) {
  name_swiss_table<std::pair<const K, V>>(namer, map);
}
template <class T, class H, class E, class A>
void name_library_parts(Namer& namer, const absl::flat_hash_set<T, H, E, A>& set) {
  name_swiss_table<T>(namer, set);
}
template <class K, class V, class H, class E, class A>
void name_library_parts(Namer& namer, const absl::node_hash_map<K, V, H, E, A>& map) {
  name_swiss_table<std::pair<const K, V>*>(namer, map);
}
template <class T, class H, class E, class A>
void name_library_parts(Namer& namer, const absl::node_hash_set<T, H, E, A>& set) {
  name_swiss_table<T*>(namer, set);
}

template <class Iterator>
struct BtreeNodeOf;
template <template <class...> class Iterator, class Node, class... Rest>
struct BtreeNodeOf<Iterator<Node, Rest...>> {
  using type = std::remove_const_t<Node>;
};
template <class Tree>
void name_btree(Namer& namer, const Tree& tree) {
  for (const auto& element : tree) {
    truth_name(&element, typeid(typename BtreeNodeOf<typename Tree::iterator>::type).name(), 0);
    namer.visit(element);
  }
  count_container(typeid(tree).name(), tree.size(), 0);
}
template <class K, class V, class L, class A>
void name_library_parts(Namer& namer, const absl::btree_map<K, V, L, A>& map) {
  name_btree(namer, map);
}
template <class K, class V, class L, class A>
void name_library_parts(Namer& namer, const absl::btree_multimap<K, V, L, A>& map) {
  name_btree(namer, map);
}
template <class T, class L, class A>
void name_library_parts(Namer& namer, const absl::btree_set<T, L, A>& set) {
  name_btree(namer, set);
}

// Contiguous ones, whose elements may lie inside.
template <class T, class Vector>
void name_vector(Namer& namer, const Vector& vector, const T* data, bool is_counted = true) {
  namer.name_start<T>(data);
  const bool has_memory = truth_at(reinterpret_cast<uintptr_t>(data)) != nullptr;
  if (is_counted)
    count_container(typeid(vector).name(), vector.size(),
                    has_memory ? (vector.capacity() - vector.size()) * sizeof(T) : 0);
  for (const auto& element : vector) namer.visit(element);
}
template <class T, size_t N, class A>
void name_library_parts(Namer& namer, const absl::InlinedVector<T, N, A>& vector) {
  name_vector(namer, vector, vector.data());
}
template <class T, size_t N, class A>
void name_library_parts(Namer& namer, const absl::FixedArray<T, N, A>& array) {
  namer.name_start<T>(array.data());
  for (const T& element : array) namer.visit(element);
}
template <class T, class A, class O>
void name_library_parts(Namer& namer, const boost::container::vector<T, A, O>& vector) {
  name_vector(namer, vector, vector.data());
}
template <class T, size_t N, class A, class O>
void name_library_parts(Namer& namer, const boost::container::small_vector<T, N, A, O>& vector) {
  name_vector(namer, vector, vector.data());
}
template <class T, size_t N, class O>
void name_library_parts(Namer& namer, const boost::container::static_vector<T, N, O>& vector) {
  name_vector(namer, vector, vector.data(), false);
}
template <class K, class V, class L, class A>
void name_library_parts(Namer& namer, const boost::container::flat_map<K, V, L, A>& map) {
  using Pair = boost::container::dtl::pair<K, V>;
  name_vector(namer, map, map.empty() ? nullptr : reinterpret_cast<const Pair*>(&*map.begin()));
}
template <class T, class L, class A>
void name_library_parts(Namer& namer, const boost::container::flat_set<T, L, A>& set) {
  name_vector(namer, set, set.empty() ? nullptr : &*set.begin());
}

template <class Node, class Container>
void name_boost_table(Namer& namer, const Container& container) {
  const void* const buckets = word_of(container, sizeof container / sizeof(void*) - 1);
  if (buckets != nullptr) truth_name(buckets, typeid(boost::unordered::detail::ptr_bucket).name(), 1);
  size_t empty = 0;
  for (size_t i = 0; i < container.bucket_count(); ++i) empty += container.bucket_size(i) == 0 ? 1 : 0;
  count_container(typeid(container).name(), container.size(), buckets != nullptr ? empty * sizeof(void*) : 0);
  for (const auto& element : container) {
    truth_name(&element, typeid(Node).name(), 0);
    namer.visit(element);
  }
}
template <class K, class V, class H, class E, class A>
void name_library_parts(Namer& namer, const boost::unordered_map<K, V, H, E, A>& map) {
  name_boost_table<boost::unordered::detail::ptr_node<std::pair<const K, V>>>(namer, map);
}
template <class K, class V, class H, class E, class A>
void name_library_parts(Namer& namer, const boost::unordered_multimap<K, V, H, E, A>& map) {
  name_boost_table<boost::unordered::detail::ptr_node<std::pair<const K, V>>>(namer, map);
}
template <class T, class H, class E, class A>
void name_library_parts(Namer& namer, const boost::unordered_set<T, H, E, A>& set) {
  name_boost_table<boost::unordered::detail::ptr_node<T>>(namer, set);
}
