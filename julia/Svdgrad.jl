# SPDX-License-Identifier: BSD-3-Clause
"""
Singular value decomposition with exact gradients for Julia, by ccall, and its rules for ChainRules: Flux and Zygote then
differentiate through it.  Arrays are m x n or m x n x batch, of Float32, Float64, ComplexF32 or ComplexF64.

NOT RUN: no Julia was at hand where this was written.  python/tests/test_documents/test_003_39ffc04675390676.py holds the declarations against
svdgrad.h.

    include("Svdgrad.jl"); using .Svdgrad, Zygote
    Zygote.gradient(Svdgrad.opnorm, rand(3, 5))     # u_1 v_1', of the spectral norm

The library is found as `libsvdgrad.so.0`, or where the environment variable SVDGRAD_LIBRARY says.
"""
module Svdgrad

using ChainRulesCore

export svd, svdvals, opnorm, nuclearnorm

const library = get(ENV, "SVDGRAD_LIBRARY", "libsvdgrad.so.0")
const Element = Union{Float32, Float64, ComplexF32, ComplexF64}
const Batch{T} = Union{Matrix{T}, Array{T, 3}} where {T <: Element}
const Cotangent = Union{Nothing, Array}

dtype(::Type{Float32}) = Cint(0)
dtype(::Type{Float64}) = Cint(1)
dtype(::Type{ComplexF32}) = Cint(2)
dtype(::Type{ComplexF64}) = Cint(3)

const OP_SVD, OP_SVDVALS, OP_SVD_BACKWARD, OP_SVD_JVP, OP_NORM, OP_NORM_GRADIENT = Cint.((0, 1, 2, 3, 7, 8))
const NORM_NUCLEAR, NORM_SPECTRAL = Cint.((0, 1))
const BACKEND_CPU = Cint(1)

# ---- the structures of svdgrad.h, field by field

struct Desc # svdgrad_desc_t
    struct_size::Csize_t
    dtype::Cint
    algo::Cint
    m::Int64
    n::Int64
    batch_count::Int64
    rank::Int64
    full_matrices::Int32
    positive_gauge::Int32
    max_sweeps::Int32
    gap_policy::Cint
    gap_param::Cdouble
    parallel_for::Ptr{Cvoid}
    pool::Ptr{Cvoid}
end

struct Strided # svdgrad_matrix_t
    data::Ptr{Cvoid}
    row_stride::Int64
    col_stride::Int64
    batch_stride::Int64
end

struct StridedVector # svdgrad_vector_t
    data::Ptr{Cvoid}
    stride::Int64
    batch_stride::Int64
end

# The address of a structure, or of nothing.  Arrays stay alive by GC.@preserve where these are used.
matrix(x::Array) = Ref(Strided(pointer(x), 1, size(x, 1), size(x, 1) * size(x, 2)))
matrix(::Nothing) = C_NULL
vector(x::Array) = Ref(StridedVector(pointer(x), 1, size(x, 1)))
vector(::Nothing) = C_NULL

function check(status)
    status == 0 && return
    error(unsafe_string(ccall((:svdgrad_last_error_message, library), Cstring, ())))
end

const handle = Ref{Ptr{Cvoid}}(C_NULL)

function __init__()
    check(ccall((:svdgrad_create, library), Cint, (Cint, Cint, Ref{Ptr{Cvoid}}), BACKEND_CPU, 0, handle))
end

describe(A::Array{T}) where {T} = Ref(Desc(sizeof(Desc), dtype(T), 0, size(A, 1), size(A, 2), size(A, 3), 0, 0, 0, 0, 0, 0.0, C_NULL, C_NULL))

function workspace(op, desc)
    bytes = Ref{Csize_t}(0)
    check(ccall((:svdgrad_workspace_size, library), Cint, (Ptr{Cvoid}, Cint, Ref{Desc}, Ref{Csize_t}), handle[], op, desc, bytes))
    Vector{UInt8}(undef, bytes[])
end

like(A::Array{T, N}, sizes...) where {T, N} = Array{T, N}(undef, sizes..., size(A)[3:end]...)
reallike(A::Array{T, N}, sizes...) where {T, N} = Array{real(T), N - 2 + length(sizes)}(undef, sizes..., size(A)[3:end]...)

# ---- operations

"""
    svd(A) -> (U, S, Vh)

Thin: U is m x k, S k, Vh k x n, k = min(m, n), each with the batch behind; A = U * Diagonal(S) * Vh.
"""
function svd(A::Batch)
    m, n = size(A)
    k = min(m, n)
    U, S, Vh = like(A, m, k), reallike(A, k), like(A, k, n)
    factorize!(A, S, U, Vh, OP_SVD)
    U, S, Vh
end

"Singular values alone, k in descending order for each matrix."
function svdvals(A::Batch)
    S = reallike(A, min(size(A, 1), size(A, 2)))
    factorize!(A, S, nothing, nothing, OP_SVDVALS)
    S
end

function factorize!(A, S, U, Vh, op)
    desc, info = describe(A), Vector{Int32}(undef, size(A, 3))
    work = workspace(op, desc)
    GC.@preserve A S U Vh check(ccall((:svdgrad_svd, library), Cint,
        (Ptr{Cvoid}, Ptr{Cvoid}, Ref{Desc}, Ptr{Strided}, Ptr{StridedVector}, Ptr{Strided}, Ptr{Strided}, Ptr{Int32}, Ptr{Cvoid}, Csize_t),
        handle[], C_NULL, desc, matrix(A), vector(S), matrix(U), matrix(Vh), info, work, sizeof(work)))
end

"Gradient with respect to A from those with respect to S, U and Vh (nothing: zero)."
function svd_backward(A, S, U, Vh, gS::Cotangent, gU::Cotangent, gVh::Cotangent)
    gA, desc = similar(A), describe(A)
    work = workspace(OP_SVD_BACKWARD, desc)
    GC.@preserve A S U Vh gS gU gVh gA check(ccall((:svdgrad_svd_backward, library), Cint,
        (Ptr{Cvoid}, Ptr{Cvoid}, Ref{Desc}, Ptr{Strided}, Ptr{StridedVector}, Ptr{Strided}, Ptr{Strided}, Ptr{StridedVector}, Ptr{Strided},
         Ptr{Strided}, Cdouble, Cdouble, Ptr{Strided}, Ptr{Cvoid}, Ptr{Cvoid}, Csize_t),
        handle[], C_NULL, desc, matrix(A), vector(S), matrix(U), matrix(Vh), vector(gS), matrix(gU), matrix(gVh), 1.0, 0.0, matrix(gA), C_NULL,
        work, sizeof(work)))
    gA
end

"Tangents (dU, dS, dVh) of the factors for the tangent dA."
function svd_jvp(A, S, U, Vh, dA)
    dS, dU, dVh, desc = similar(S), similar(U), similar(Vh), describe(A)
    work = workspace(OP_SVD_JVP, desc)
    GC.@preserve A S U Vh dA dS dU dVh check(ccall((:svdgrad_svd_jvp, library), Cint,
        (Ptr{Cvoid}, Ptr{Cvoid}, Ref{Desc}, Ptr{Strided}, Ptr{StridedVector}, Ptr{Strided}, Ptr{Strided}, Ptr{Strided}, Ptr{StridedVector},
         Ptr{Strided}, Ptr{Strided}, Ptr{Cvoid}, Ptr{Cvoid}, Csize_t),
        handle[], C_NULL, desc, matrix(A), vector(S), matrix(U), matrix(Vh), matrix(dA), vector(dS), matrix(dU), matrix(dVh), C_NULL, work,
        sizeof(work)))
    dU, dS, dVh
end

# The norm of each matrix and, if wanted, its gradient.
function norm(A::Batch, kind, with_gradient)
    value, desc, info = reallike(A, 1), describe(A), Vector{Int32}(undef, size(A, 3))
    gA = with_gradient ? similar(A) : nothing
    work = workspace(with_gradient ? OP_NORM_GRADIENT : OP_NORM, desc)
    GC.@preserve A value gA check(ccall((:svdgrad_norm, library), Cint,
        (Ptr{Cvoid}, Ptr{Cvoid}, Ref{Desc}, Cint, Cdouble, Ptr{Strided}, Ptr{StridedVector}, Ptr{StridedVector}, Cdouble, Cdouble, Ptr{Strided},
         Ptr{Int32}, Ptr{Cvoid}, Csize_t),
        handle[], C_NULL, desc, kind, 1.0, matrix(A), vector(value), C_NULL, 1.0, 0.0, matrix(gA), info, work, sizeof(work)))
    (ndims(A) == 2 ? value[1] : vec(value)), gA
end

"Largest singular value: a number, or one for each matrix of a batch.  At ties the gradient is shared equally."
opnorm(A::Batch) = norm(A, NORM_SPECTRAL, false)[1]

"Sum of the singular values: a number, or one for each matrix of a batch.  The gradient is the subgradient of least norm."
nuclearnorm(A::Batch) = norm(A, NORM_NUCLEAR, false)[1]

# ---- rules

# A cotangent as an array like x, or nothing for zero.
given(g, x) = g isa AbstractZero ? nothing : convert(typeof(x), unthunk(g))

function ChainRulesCore.rrule(::typeof(svd), A::Batch)
    U, S, Vh = svd(A)
    function pullback(g)
        gU, gS, gVh = unthunk(g)
        NoTangent(), svd_backward(A, S, U, Vh, given(gS, S), given(gU, U), given(gVh, Vh))
    end
    (U, S, Vh), pullback
end

function ChainRulesCore.frule((_, dA), ::typeof(svd), A::Batch)
    U, S, Vh = svd(A)
    tangents = svd_jvp(A, S, U, Vh, convert(typeof(A), unthunk(dA)))
    (U, S, Vh), Tangent{Tuple{typeof(U), typeof(S), typeof(Vh)}}(tangents...)
end

function ChainRulesCore.rrule(::typeof(svdvals), A::Batch)
    U, S, Vh = svd(A)
    S, g -> (NoTangent(), svd_backward(A, S, U, Vh, given(g, S), nothing, nothing))
end

function ChainRulesCore.frule((_, dA), ::typeof(svdvals), A::Batch)
    U, S, Vh = svd(A)
    S, svd_jvp(A, S, U, Vh, convert(typeof(A), unthunk(dA)))[2]
end

# One number for each matrix, spread over its elements.
spread(g::Number, A) = g
spread(g::AbstractVector, A) = reshape(g, 1, 1, :)

for (name, kind) in ((:opnorm, :NORM_SPECTRAL), (:nuclearnorm, :NORM_NUCLEAR))
    @eval function ChainRulesCore.rrule(::typeof($name), A::Batch)
        value, gA = norm(A, $kind, true)
        value, g -> (NoTangent(), spread(unthunk(g), A) .* gA)
    end
    @eval function ChainRulesCore.frule((_, dA), ::typeof($name), A::Batch)
        value, gA = norm(A, $kind, true)
        products = real.(conj.(gA) .* convert(typeof(A), unthunk(dA)))
        value, ndims(A) == 2 ? sum(products) : vec(sum(products, dims = (1, 2)))
    end
end

end
