// What libstdc++ and libc++ call the blocks that their containers keep on the heap, under one name each, for programs that
// write down the types of their blocks.
#pragma once

#include <deque>
#include <forward_list>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <unordered_set>

// What the standard library keeps on the heap: the nodes of its containers, and what std::function allocates for a callable.
#ifdef _LIBCPP_VERSION
template <class K, class V>
using MapNode = std::__tree_node<std::__value_type<K, V>, void*>;
template <class T>
using SetNode = std::__tree_node<T, void*>;
template <class K, class V>
using HashMapNode = std::__hash_node<std::__hash_value_type<K, V>, void*>;
template <class T>
using HashSetNode = std::__hash_node<T, void*>;
template <class Node>
using HashBucket = std::__hash_node_base<Node*>*;
template <class T>
using ListNode = std::__list_node<T, void*>;
template <class T>
using ForwardNode = std::__forward_list_node<T, void*>;
using SharedCount = std::__shared_weak_count;
template <class F, class Signature>
using FunctionBlock = std::__function::__func<F, std::allocator<F>, Signature>;
#else
template <class K, class V>
using MapNode = std::_Rb_tree_node<std::pair<const K, V> >;
template <class T>
using SetNode = std::_Rb_tree_node<T>;
template <class K, class V>
using HashMapNode = std::__detail::_Hash_node<std::pair<const K, V>, std::__cache_default<K, std::hash<K> >::value>;
template <class T>
using HashSetNode = std::__detail::_Hash_node<T, std::__cache_default<T, std::hash<T> >::value>;
template <class Node>
using HashBucket = std::__detail::_Hash_node_base*;
template <class T>
using ListNode = std::_List_node<T>;
template <class T>
using ForwardNode = std::_Fwd_list_node<T>;
using SharedCount = std::_Sp_counted_base<>;
template <class F, class Signature>
using FunctionBlock = F;
#endif
