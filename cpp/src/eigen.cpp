// The instances that eigen_instances.hpp declares, compiled here.
#define RANEF_EIGEN_INSTANCE
#include "ranef/eigen.hpp"
