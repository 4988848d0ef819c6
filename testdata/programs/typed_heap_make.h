// Blocks that know their type from the moment they are made.
//
//   make<T>, make_array<T>   plain new and new[]; make_plain<T> as C does it
//   Recording<T>             an allocator that names what it allocates; a container rebinds it to its node type, so the
//                            library itself says std::_Rb_tree_node<…>
//
// Every new of the program is recorded; names are the mangled ones of typeid.
#pragma once

#include <malloc.h>

#include <cstdlib>
#include <new>
#include <typeinfo>
#include <utility>

#include "typed_heap_truth.h"

void* operator new(size_t size) {
  return truth_add(malloc(size));
}
void* operator new[](size_t size) {
  return truth_add(malloc(size));
}
void* operator new(size_t size, std::align_val_t alignment) {
  return truth_add(memalign(static_cast<size_t>(alignment), size));
}
void operator delete(void* p) noexcept {
  truth_remove(p);
  free(p);
}
void operator delete[](void* p) noexcept {
  operator delete(p);
}
void operator delete(void* p, size_t) noexcept {
  operator delete(p);
}
void operator delete[](void* p, size_t) noexcept {
  operator delete(p);
}
void operator delete(void* p, std::align_val_t) noexcept {
  operator delete(p);
}
void operator delete(void* p, size_t, std::align_val_t) noexcept {
  operator delete(p);
}

template <class T>
struct Recording {
  using value_type = T;
  Recording() = default;
  template <class U>
  Recording(const Recording<U>&) {}
  T* allocate(size_t n) {
    void* p = ::operator new(n * sizeof(T));
    truth_name(p, typeid(T).name(), n != 1);
    return static_cast<T*>(p);
  }
  void deallocate(T* p, size_t) { ::operator delete(p); }
  template <class U>
  bool operator==(const Recording<U>&) const {
    return true;
  }
};

template <class T, class... Arguments>
T* make(Arguments&&... arguments) {
  T* p = new T{std::forward<Arguments>(arguments)...};
  truth_name(p, typeid(T).name(), 0);
  return p;
}

template <class T>
T* make_array(size_t n) {
  T* p = new T[n];
  truth_name(p, typeid(T).name(), 1);  // with a destructor the block begins 8 bytes before: the array cookie
  return p;
}

// As C does it: a block of its own size.
template <class T>
T* make_plain(size_t extra_bytes = 0) {
  void* p = truth_add(calloc(1, sizeof(T) + extra_bytes));
  truth_name(p, typeid(T).name(), 0);
  return static_cast<T*>(p);
}
