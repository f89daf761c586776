// Read-only attributes and methods without arguments, from one instance of pybind11's templates.
//
// Every class_::def_readonly or def of a new signature makes a compiler build some twenty
// functions. Here a member is a pointer to a small function that reads it, and pybind11 sees one
// signature only.
#pragma once

#include <pybind11/pybind11.h>

#include <functional>
#include <initializer_list>
#include <type_traits>
#include <typeinfo>
#include <utility>

struct Member {
  const char* name;
  // From the C++ object and the Python object that holds it.
  pybind11::object (*read)(void* object, pybind11::handle holder);
  bool is_method = false;
};

namespace members {

template <class>
struct OwnerOf;
template <class C, class D>
struct OwnerOf<D C::*> {
  using type = C;
};
template <class C, class R>
struct OwnerOf<R (*)(const C&)> {
  using type = C;
};
template <auto Of>
using Owner = typename OwnerOf<decltype(Of)>::type;

template <class T>
pybind11::object to_python(T&& value, pybind11::return_value_policy policy,
                           pybind11::handle holder) {
  using Value = std::decay_t<T>;
  if constexpr (std::is_same_v<Value, bool>)
    return pybind11::bool_(value);
  else if constexpr (std::is_floating_point_v<Value>)
    return pybind11::float_(value);
  else if constexpr (std::is_integral_v<Value>)
    return pybind11::int_(value);
  else
    return pybind11::cast(std::forward<T>(value), policy, holder);
}

template <auto Of>
pybind11::object view(void* object, pybind11::handle holder) {
  const auto& self = *static_cast<const Owner<Of>*>(object);
  return to_python(std::invoke(Of, self), pybind11::return_value_policy::reference_internal,
                   holder);
}

template <auto Of>
pybind11::object copy(void* object, pybind11::handle) {
  const auto& self = *static_cast<const Owner<Of>*>(object);
  return to_python(std::invoke(Of, self), pybind11::return_value_policy::copy, {});
}

template <auto Of, class Guard>
pybind11::object call(void* object, pybind11::handle) {
  auto& self = *static_cast<Owner<Of>*>(object);
  if constexpr (std::is_void_v<decltype(std::invoke(Of, self))>) {
    const Guard guard;
    std::invoke(Of, self);
    return pybind11::none();
  } else {
    auto value = [&] {
      const Guard guard;
      return std::invoke(Of, self);
    }();
    return to_python(std::move(value), pybind11::return_value_policy::move, {});
  }
}

void add(pybind11::handle cls, const std::type_info& type, std::initializer_list<Member> members);

}  // namespace members

// An attribute whose arrays are views of the object's own.
template <auto Of>
Member viewed(const char* name) {
  return {name, &members::view<Of>};
}

// An attribute whose arrays are copies: of a member, a method or a function of the object.
template <auto Of>
Member copied(const char* name) {
  return {name, &members::copy<Of>};
}

// A method without arguments, called under a guard.
template <auto Of, class Guard>
Member called(const char* name) {
  return {name, &members::call<Of, Guard>, true};
}

template <class C, class... Options>
void add_members(const pybind11::class_<C, Options...>& cls,
                 std::initializer_list<Member> members) {
  members::add(cls, typeid(C), members);
}

// A class that Python only reads.
template <class C>
void add_record(pybind11::module_& m, const char* name, const char* doc,
                std::initializer_list<Member> members) {
  add_members(pybind11::class_<C>(m, name, pybind11::module_local(), doc), members);
}

// How a fit ended, as a number.
template <class C>
int status_of(const C& self) {
  return static_cast<int>(self.status);
}

// What every model says of its columns: their basis, and which of them are kept.
template <class Model>
struct BasisOf {
  static const auto& T(const Model& self) { return self.basis().T; }
  static const auto& kept(const Model& self) { return self.basis().kept; }
  static const auto& aliased(const Model& self) { return self.basis().aliased; }
  static const auto& alias(const Model& self) { return self.basis().alias; }
};
template <class Model, class... Options>
void add_kept(const pybind11::class_<Model, Options...>& cls) {
  add_members(cls,
              {copied<&BasisOf<Model>::kept>("kept"), copied<&BasisOf<Model>::aliased>("aliased"),
               copied<&BasisOf<Model>::alias>("alias")});
}
