// Instances of Eigen's larger templates, compiled once (src/eigen.cpp) and not in every file.
//
// Eigen defines these functions out of line, so that a declaration here keeps a compiler from
// making them again: an eigenvalue solver alone takes five seconds. An instance that is missing
// costs time, not correctness. Only eigen.hpp includes this; src/eigen.cpp defines
// RANEF_EIGEN_INSTANCE as nothing, which turns the declarations into definitions.
#pragma once

#ifndef RANEF_EIGEN_INSTANCE
#define RANEF_EIGEN_INSTANCE extern
#endif

namespace Eigen {

// Decompositions of a MatrixXd.
RANEF_EIGEN_INSTANCE template SelfAdjointEigenSolver<MatrixXd>&
SelfAdjointEigenSolver<MatrixXd>::compute(const EigenBase<MatrixXd>&, int);
RANEF_EIGEN_INSTANCE template LLT<MatrixXd>& LLT<MatrixXd>::compute(const EigenBase<MatrixXd>&);
RANEF_EIGEN_INSTANCE template void LLT<MatrixXd>::_solve_impl(const MatrixXd&, MatrixXd&) const;
RANEF_EIGEN_INSTANCE template void LLT<MatrixXd>::_solve_impl(const VectorXd&, VectorXd&) const;
RANEF_EIGEN_INSTANCE template LDLT<MatrixXd>& LDLT<MatrixXd>::compute(const EigenBase<MatrixXd>&);
RANEF_EIGEN_INSTANCE template void LDLT<MatrixXd>::_solve_impl(const VectorXd&, VectorXd&) const;
RANEF_EIGEN_INSTANCE template void PartialPivLU<MatrixXd>::compute();
RANEF_EIGEN_INSTANCE template void HouseholderQR<MatrixXd>::computeInPlace();
RANEF_EIGEN_INSTANCE template void ColPivHouseholderQR<MatrixXd>::computeInPlace();
RANEF_EIGEN_INSTANCE template void ColPivHouseholderQR<MatrixXd>::_solve_impl(const VectorXd&,
                                                                              VectorXd&) const;

namespace internal {

using RanefPacking = gebp_traits<double, double>;
using RanefOut = blas_data_mapper<double, Index, ColMajor, Unaligned, 1>;
template <int Order>
using RanefIn = const_blas_data_mapper<double, Index, Order>;

// Matrix times matrix: the kernel and the packing of its arguments.
RANEF_EIGEN_INSTANCE template struct gebp_kernel<double, double, Index, RanefOut, RanefPacking::mr,
                                                 RanefPacking::nr, false, false>;
RANEF_EIGEN_INSTANCE template struct gemm_pack_lhs<double, Index, RanefIn<ColMajor>,
                                                   RanefPacking::mr, RanefPacking::LhsProgress,
                                                   RanefPacking::LhsPacket4Packing, ColMajor>;
RANEF_EIGEN_INSTANCE template struct gemm_pack_lhs<double, Index, RanefIn<RowMajor>,
                                                   RanefPacking::mr, RanefPacking::LhsProgress,
                                                   RanefPacking::LhsPacket4Packing, RowMajor>;
RANEF_EIGEN_INSTANCE template struct gemm_pack_lhs<double, Index, RanefOut, RanefPacking::mr,
                                                   RanefPacking::LhsProgress,
                                                   RanefPacking::LhsPacket4Packing, ColMajor>;
RANEF_EIGEN_INSTANCE template struct gemm_pack_rhs<double, Index, RanefIn<ColMajor>,
                                                   RanefPacking::nr, ColMajor, false, false>;
RANEF_EIGEN_INSTANCE template struct gemm_pack_rhs<double, Index, RanefIn<RowMajor>,
                                                   RanefPacking::nr, RowMajor, false, false>;
RANEF_EIGEN_INSTANCE template struct gemm_pack_rhs<double, Index, RanefOut, RanefPacking::nr,
                                                   ColMajor, false, true>;
RANEF_EIGEN_INSTANCE template struct gemm_pack_rhs<double, Index, RanefIn<RowMajor>,
                                                   RanefPacking::nr, RowMajor, false, true>;
RANEF_EIGEN_INSTANCE template struct gemm_pack_rhs<double, Index, RanefIn<ColMajor>,
                                                   RanefPacking::nr, ColMajor, false, true>;

RANEF_EIGEN_INSTANCE template void evaluateProductBlockingSizesHeuristic<double, double, 1, Index>(
    Index&, Index&, Index&, Index);
RANEF_EIGEN_INSTANCE template void evaluateProductBlockingSizesHeuristic<double, double, 4, Index>(
    Index&, Index&, Index&, Index);

// Matrix times vector.
RANEF_EIGEN_INSTANCE template struct general_matrix_vector_product<
    Index, double, RanefIn<RowMajor>, RowMajor, false, double, RanefIn<ColMajor>, false, 0>;
RANEF_EIGEN_INSTANCE template struct general_matrix_vector_product<
    Index, double, RanefIn<ColMajor>, ColMajor, false, double, RanefIn<RowMajor>, false, 0>;
RANEF_EIGEN_INSTANCE template struct general_matrix_vector_product<
    Index, double, RanefIn<RowMajor>, RowMajor, false, double, RanefIn<RowMajor>, false, 1>;
RANEF_EIGEN_INSTANCE template struct general_matrix_vector_product<
    Index, double, RanefIn<ColMajor>, ColMajor, false, double, RanefIn<ColMajor>, false, 0>;
RANEF_EIGEN_INSTANCE template struct selfadjoint_matrix_vector_product<double, Index, ColMajor,
                                                                       Lower, false, false, 0>;

// Triangular systems of several right-hand sides.
RANEF_EIGEN_INSTANCE template struct triangular_solve_matrix<double, Index, OnTheRight, Upper,
                                                             false, RowMajor, ColMajor, 1>;
RANEF_EIGEN_INSTANCE template struct triangular_solve_matrix<double, Index, OnTheLeft, Upper, false,
                                                             ColMajor, ColMajor, 1>;
RANEF_EIGEN_INSTANCE template struct triangular_solve_matrix<double, Index, OnTheLeft, Lower, false,
                                                             ColMajor, ColMajor, 1>;
RANEF_EIGEN_INSTANCE template struct triangular_solve_matrix<double, Index, OnTheLeft, Upper, false,
                                                             RowMajor, ColMajor, 1>;
RANEF_EIGEN_INSTANCE template struct triangular_solve_matrix<double, Index, OnTheLeft, UnitLower,
                                                             false, ColMajor, ColMajor, 1>;
RANEF_EIGEN_INSTANCE template struct triangular_solve_matrix<double, Index, OnTheRight, Lower,
                                                             false, ColMajor, ColMajor, 1>;

// Triangular or symmetric matrix times matrix.
RANEF_EIGEN_INSTANCE template struct product_triangular_matrix_matrix<
    double, Index, Upper, true, RowMajor, false, ColMajor, false, ColMajor, 1, 0>;
RANEF_EIGEN_INSTANCE template struct product_triangular_matrix_matrix<
    double, Index, UnitUpper, true, RowMajor, false, ColMajor, false, ColMajor, 1, 0>;
RANEF_EIGEN_INSTANCE template struct product_triangular_matrix_matrix<
    double, Index, UnitLower, true, ColMajor, false, ColMajor, false, ColMajor, 1, 0>;
RANEF_EIGEN_INSTANCE template struct product_triangular_matrix_matrix<
    double, Index, Lower, true, ColMajor, false, ColMajor, false, ColMajor, 1, 0>;
RANEF_EIGEN_INSTANCE template struct product_selfadjoint_matrix<
    double, Index, ColMajor, true, false, ColMajor, false, false, ColMajor, 1>;

}  // namespace internal
}  // namespace Eigen
