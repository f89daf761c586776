#include "members.hpp"

namespace py = pybind11;

void members::add(py::handle cls, const std::type_info& type,
                  std::initializer_list<Member> members) {
  const py::object property = py::module_::import("builtins").attr("property");
  for (const Member& member : members) {
    const auto read = [type = &type, read = member.read](const py::handle& self) {
      py::detail::type_caster_generic caster(*type);
      if (!caster.load(self, false) || !caster.value)
        throw py::type_error("an attribute of another class");
      return read(caster.value, self);
    };
    const py::cpp_function function(read, py::name(member.name), py::is_method(cls));
    if (member.is_method)
      cls.attr(member.name) = function;
    else
      cls.attr(member.name) = property(function);
  }
}
