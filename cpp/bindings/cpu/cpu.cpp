// Asks the processor which instruction sets it has, before any variant of the core is loaded.
//
// In Python's own interface: for one function pybind11 would cost some seconds of compilation.
#include "cpu.hpp"

#include <Python.h>

static PyObject* asked(PyObject*, PyObject*) { return PyBool_FromLong(supports_x86_64_v3()); }

static PyMethodDef methods[] = {
    {"supports_x86_64_v3", asked, METH_NOARGS, "Whether this processor has AVX2, FMA and BMI2."},
    {nullptr, nullptr, 0, nullptr}};

static PyModuleDef_Slot slots[] = {
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, nullptr}};

static PyModuleDef module = {PyModuleDef_HEAD_INIT,
                             "_cpu",
                             "What this processor can run.",
                             0,
                             methods,
                             slots,
                             nullptr,
                             nullptr,
                             nullptr};

PyMODINIT_FUNC PyInit__cpu() { return PyModuleDef_Init(&module); }
