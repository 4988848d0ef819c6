// How typed_heap.cc gives the blocks of ordinary containers their types, without trusting what is under test.
//
//   Namer   walks containers with std::allocator at the end: the block around an element is a node of the container.
//           A polymorphic object is named by typeid.
//
// Names are the mangled ones of typeid until they are written. A struct lists its owning members in parts(), or names what
// they own in name_parts().
#pragma once

#include <deque>
#include <forward_list>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include "typed_heap_make.h"
#include "typed_heap_nodes.h"

template <class T>
const void* word_of(const T& object, size_t position) {
  const void* word;
  memcpy(&word, reinterpret_cast<const char*>(&object) + position * sizeof word, sizeof word);
  return word;
}

// What containers own, by their type: rows `type <TAB> containers <TAB> elements <TAB> unused bytes`.
struct ContainerTruth {
  const char* type;
  size_t count, elements, unused_bytes;
};
inline ContainerTruth container_truths[128];

inline void count_container(const char* type, size_t elements, size_t unused_bytes) {
  for (ContainerTruth& truth : container_truths) {
    if (truth.type != nullptr && strcmp(truth.type, type) != 0) continue;
    truth = {type, truth.count + 1, truth.elements + elements, truth.unused_bytes + unused_bytes};
    return;
  }
  truth_fail("too many types of containers", type, "", 0);
}

inline void write_containers(const char* path, const char* (*spell)(const char* type)) {
  static char row[kTruthMaxName + 100];
  const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  for (const ContainerTruth& truth : container_truths) {
    if (truth.type == nullptr) break;
    const int length = snprintf(row, sizeof row, "%s\t%zu\t%zu\t%zu\n", spell(truth.type), truth.count, truth.elements,
                                truth.unused_bytes);
    if (length < 0 || write(file, row, static_cast<size_t>(length)) != length) {
      truth_fail("cannot write", path, truth.type, 0);
    }
  }
  close(file);
}

struct Namer {
  // A block that begins at p; what is elsewhere (inside its owner, in static memory) has no block.
  template <class T>
  void name_start(const void* p, bool is_array = true) {
    if (truth_at(reinterpret_cast<uintptr_t>(p)) != nullptr) truth_name(p, typeid(T).name(), is_array);
  }
  template <class T>
  void name_object(const T& object) {
    if constexpr (std::is_polymorphic_v<T>) {
      truth_name(dynamic_cast<const void*>(&object), typeid(object).name(), 0);
    } else {
      truth_name(&object, typeid(T).name(), 0);
    }
  }

  template <class T>
  void visit(const T& object) {
    if constexpr (requires { object.name_parts(*this); }) {
      object.name_parts(*this);
    } else if constexpr (requires { object.parts(); }) {
      std::apply([this](const auto&... part) { (this->visit(part), ...); }, object.parts());
    } else if constexpr (requires { name_library_parts(*this, object); }) {  // of other libraries
      name_library_parts(*this, object);
    }
  }
  template <class A, class B>
  void visit(const std::pair<A, B>& pair) {
    visit(pair.first);
    visit(pair.second);
  }
  template <class T>
  void visit(const std::optional<T>& object) {
    if (object) visit(*object);
  }
  template <class... T>
  void visit(const std::variant<T...>& object) {
    std::visit([this](const auto& value) { this->visit(value); }, object);
  }
  template <class C, class R, class A>
  void visit(const std::basic_string<C, R, A>& text) {
    name_start<C>(text.data());
  }
  template <class T, class A>
  void visit(const std::vector<T, A>& vector) {
    name_start<T>(vector.data());
    count_container(typeid(vector).name(), vector.size(), (vector.capacity() - vector.size()) * sizeof(T));
    for (const T& element : vector) visit(element);
  }
  template <class T, class A>
  void visit(const std::deque<T, A>& deque) {
    name_start<T*>(word_of(deque, 0));
#ifdef _LIBCPP_VERSION  // the map's first and last words in use: blocks without elements are kept there
    const auto* const end = static_cast<const void* const*>(word_of(deque, 2));
    for (const auto* block = static_cast<const void* const*>(word_of(deque, 1)); block != end; ++block)
      name_start<T>(*block);
#else
    name_start<T>(word_of(deque, 7));  // the block that the next push_back goes to may hold no element yet
#endif
    for (const T& element : deque) {
      truth_name(&element, typeid(T).name(), 1);
      visit(element);
    }
  }
  template <class Node, class Container>
  void visit_nodes(const Container& container) {
    for (const auto& element : container) {
      truth_name(&element, typeid(Node).name(), 0);
      visit(element);
    }
    if constexpr (requires { container.bucket_count(); }) {
      size_t empty = 0;
      for (size_t i = 0; i < container.bucket_count(); ++i) empty += container.bucket_size(i) == 0 ? 1 : 0;
      const bool has_memory = truth_at(reinterpret_cast<uintptr_t>(word_of(container, 0))) != nullptr;
      count_container(typeid(container).name(), container.size(), has_memory ? empty * sizeof(void*) : 0);
    } else if constexpr (requires { container.size(); }) {
      count_container(typeid(container).name(), container.size(), 0);
    }
  }
  template <class T, class A>
  void visit(const std::list<T, A>& list) {
    visit_nodes<ListNode<T>>(list);
  }
  template <class T, class A>
  void visit(const std::forward_list<T, A>& list) {
    visit_nodes<ForwardNode<T>>(list);
  }
  template <class K, class V, class L, class A>
  void visit(const std::map<K, V, L, A>& map) {
    visit_nodes<MapNode<K, V>>(map);
  }
  template <class K, class V, class L, class A>
  void visit(const std::multimap<K, V, L, A>& map) {
    visit_nodes<MapNode<K, V>>(map);
  }
  template <class K, class L, class A>
  void visit(const std::set<K, L, A>& set) {
    visit_nodes<SetNode<K>>(set);
  }
  template <class K, class V, class H, class E, class A>
  void visit(const std::unordered_map<K, V, H, E, A>& map) {
    name_start<HashBucket<HashMapNode<K, V>>>(word_of(map, 0));
    visit_nodes<HashMapNode<K, V>>(map);
  }
  template <class K, class H, class E, class A>
  void visit(const std::unordered_set<K, H, E, A>& set) {
    name_start<HashBucket<HashSetNode<K>>>(word_of(set, 0));
    visit_nodes<HashSetNode<K>>(set);
  }
  template <class T, class D>
  void visit(const std::unique_ptr<T, D>& pointer) {
    if (!pointer) return;
    name_object(*pointer);
    if (truth_first_visit(pointer.get())) visit(*pointer);  // raw pointers are visited like this, too
  }
  template <class T>
  void visit(T* const& owned) {
    if (owned != nullptr) visit(std::unique_ptr<T, Nothing>(owned));
  }
  struct Nothing {
    void operator()(const void*) const {}
  };
  template <class T>
  void visit(const std::shared_ptr<T>& pointer) {
    const void* count = word_of(pointer, 1);
    if (count == nullptr) return;
    name_object(*static_cast<const SharedCount*>(count));
    if (truth_find(pointer.get()) != truth_find(count)) name_object(*pointer);
    if (truth_first_visit(count)) visit(*pointer);
  }
  template <class T>
  void visit(const std::weak_ptr<T>& pointer) {
    const void* count = word_of(pointer, 1);
    if (count != nullptr) name_object(*static_cast<const SharedCount*>(count));  // it may outlive the object in it
  }
};
