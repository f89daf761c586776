#include "ranef/eigen.hpp"
