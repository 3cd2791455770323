//! Linear layers by cuBLASLt: several products one after the other, each written or added to where it belongs.

use std::{collections::HashMap, ffi::c_void};

use burn::tensor::{DType, Shape, Tensor, backend::Backend};
use cudarc::cublaslt::{result as blas, sys as lt};

use super::{
    from_card, lane,
    lane::{Failure, Lane},
    on_card_alike, on_card_in,
    operation::{Computation, Numbers, compute},
};
use crate::nn::linear::Linear;

/// A matrix among the tensors of a computation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    Input(usize),
    Output(usize),
}

/// A matrix, or some rows and columns of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub place: Place,
    pub row: usize,
    pub column: usize,
}

impl Part {
    /// All of it.
    pub fn whole(place: Place) -> Self {
        Self { place, row: 0, column: 0 }
    }
}

/// Which sides of a product lie in memory with rows for columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Sides {
    /// Neither: `left · right`.
    AsTheyAre,
    /// `leftᵀ · right`.
    LeftTransposed,
    /// `left · rightᵀ`.
    RightTransposed,
}

/// `to = scale · left · right + bias`, or added to what is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    pub left: Part,
    pub right: Part,
    pub sides: Sides,
    pub to: Part,
    /// Rows and columns of `to`, and the numbers of each sum.
    pub size: [usize; 3],
    pub scale: f32,
    /// An input, from this number on.
    pub bias: Option<(usize, usize)>,
    pub is_added: bool,
}

/// The products of a layer, in their order.
#[derive(Debug)]
pub(super) struct Products(pub Vec<Product>);

/// cuBLASLt's fast products want rows that begin at 16 bytes.
pub(super) const MULTIPLE: usize = 8;

/// A linear layer of an input in pieces `[rows, width]`, whose widths make up its `in`, with outputs `[rows, width]`, whose widths
/// make up its `out`: `cut(pieces · Wᵀ + b + Σ scale · (pieces · Aᵀ) · Bᵀ)`.
pub fn project<B: Backend>(layer: &Linear<B>, pieces: &[Tensor<B, 2>], widths: &[usize]) -> Option<Vec<Tensor<B, 2>>> {
    let ranks: Vec<usize> = layer.adapters.iter().map(|pair| pair.a.dims()[0]).collect();
    let sums: Vec<usize> = pieces.iter().map(|piece| piece.dims()[1]).collect();
    if ![widths, &ranks, &sums].concat().iter().all(|width| width.is_multiple_of(MULTIPLE)) {
        return None;
    }
    let mut inputs = on_card_alike(pieces)?;
    let first = inputs.first()?;
    let (card, precision) = (first.device.index, first.dtype);
    let weight = inputs.len();
    inputs.push(on_card_in(&layer.weight.val(), precision)?);
    let mut bias = None;
    if let Some(numbers) = &layer.bias {
        bias = Some(inputs.len());
        inputs.push(on_card_in(&numbers.val(), precision)?);
    }
    let first_pair = inputs.len();
    for pair in &layer.adapters {
        inputs.push(on_card_in(&pair.a.val(), precision)?);
        inputs.push(on_card_in(&pair.b.val(), precision)?);
    }
    if !lane::is_there(card) {
        return None;
    }
    let rows = pieces.first()?.dims()[0];
    let scales = layer.adapters.iter().map(|pair| pair.scale as f32).collect();
    let layout = Layout { rows, sums, widths: widths.to_vec(), ranks, scales, weight, bias, first_pair };
    let outputs = layout.widths.iter().chain(&layout.ranks).map(|width| Shape::new([rows, *width]));
    let mut computed = compute(Products(layout.products()), inputs, outputs);
    computed.truncate(widths.len());
    computed.into_iter().map(from_card).collect()
}

/// The sizes of a layer, and where its tensors lie among the inputs. Outputs are the parts, and then what each pair makes of the
/// input.
struct Layout {
    rows: usize,
    /// Widths of the pieces.
    sums: Vec<usize>,
    /// Widths of the parts.
    widths: Vec<usize>,
    ranks: Vec<usize>,
    scales: Vec<f32>,
    weight: usize,
    bias: Option<usize>,
    first_pair: usize,
}

impl Layout {
    fn products(&self) -> Vec<Product> {
        let low = |pair: usize| Part::whole(Place::Output(self.widths.len() + pair));
        let mut products = Vec::new();
        for (pair, rank) in self.ranks.iter().copied().enumerate() {
            self.of_pieces(self.first_pair + 2 * pair, 0, (low(pair), rank), None, &mut products);
        }
        let mut start = 0;
        for (part, width) in self.widths.iter().copied().enumerate() {
            let to = Part::whole(Place::Output(part));
            self.of_pieces(self.weight, start, (to, width), self.bias.map(|bias| (bias, start)), &mut products);
            for (pair, rank) in self.ranks.iter().copied().enumerate() {
                products.push(Product {
                    left: low(pair),
                    right: Part { place: Place::Input(self.first_pair + 2 * pair + 1), row: start, column: 0 },
                    sides: Sides::RightTransposed,
                    to,
                    size: [self.rows, width, rank],
                    scale: self.scales[pair],
                    bias: None,
                    is_added: true,
                });
            }
            start += width;
        }
        products
    }

    /// All pieces times rows of a matrix from `first` on.
    fn of_pieces(
        &self,
        matrix: usize,
        first: usize,
        (to, width): (Part, usize),
        bias: Option<(usize, usize)>,
        products: &mut Vec<Product>,
    ) {
        let mut column = 0;
        for (index, sum) in self.sums.iter().copied().enumerate() {
            products.push(Product {
                left: Part::whole(Place::Input(index)),
                right: Part { place: Place::Input(matrix), row: first, column },
                sides: Sides::RightTransposed,
                to,
                size: [self.rows, width, sum],
                scale: 1.0,
                bias: if index == 0 { bias } else { None },
                is_added: index > 0,
            });
            column += sum;
        }
    }
}

impl Computation for Products {
    fn begin(&self, lane: &mut Lane, inputs: &[Numbers], outputs: &[Numbers]) -> Result<(), Failure> {
        let precision = outputs[0].precision;
        let matrix = |part: Part| {
            let numbers = match part.place {
                Place::Input(index) => &inputs[index],
                Place::Output(index) => &outputs[index],
            };
            let stride = numbers.strides[0];
            let address = numbers.address + ((part.row * stride + part.column) * precision.size()) as u64;
            Matrix { address, stride }
        };
        for product in &self.0 {
            let bias = product.bias.map(|(input, from)| inputs[input].address + (from * precision.size()) as u64);
            let [left, right, to] = [product.left, product.right, product.to].map(matrix);
            let multiplied = Multiplied {
                size: product.size,
                precision,
                scale: product.scale,
                is_added: product.is_added,
                sides: product.sides,
                batch: None,
            };
            multiplied.begin(lane, (left, right, to), bias)?;
        }
        Ok(())
    }
}

/// A matrix in memory, row by row.
#[derive(Clone, Copy)]
pub(super) struct Matrix {
    /// Its address.
    pub address: u64,
    /// Numbers between rows.
    pub stride: usize,
}

/// As many matrices as there are heads.
#[derive(Clone, Copy)]
pub(super) struct Heads {
    /// The first head's.
    pub matrix: Matrix,
    /// Numbers between one head's and the next.
    pub distance: usize,
}

/// `to = left · right` of every head.
pub(super) struct BatchedProduct {
    /// Rows and columns of the result, and the numbers of each sum.
    pub size: [usize; 3],
    /// How many.
    pub heads: usize,
    /// Of all numbers.
    pub precision: DType,
    /// How the sides lie in memory.
    pub sides: Sides,
}

impl BatchedProduct {
    /// Begins the products.
    pub fn begin(&self, lane: &mut Lane, (left, right, to): (Heads, Heads, Heads)) -> Result<(), Failure> {
        let multiplied = Multiplied {
            size: self.size,
            precision: self.precision,
            scale: 1.0,
            is_added: false,
            sides: self.sides,
            batch: Some((self.heads, [left.distance, right.distance, to.distance])),
        };
        multiplied.begin(lane, (left.matrix, right.matrix, to.matrix), None)
    }
}

/// What decides how a product is computed best.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    size: [usize; 3],
    strides: [usize; 3],
    /// Powers of two that the addresses are multiples of.
    alignments: [u32; 3],
    is_half: bool,
    has_bias: bool,
    is_added: bool,
    sides: Sides,
    batch: Option<(usize, [usize; 3])>,
}

/// The algorithms that were chosen.
#[derive(Default)]
pub(super) struct Plans(HashMap<Kind, lt::cublasLtMatmulAlgo_t>);

/// `CUBLAS_OP_N` and `CUBLAS_OP_T`.
const AS_IT_IS: i32 = 0;
const TRANSPOSED: i32 = 1;

/// More than this is not asked of an address.
const ALIGNMENT: u32 = 256;

/// One product, or one of every head.
pub(super) struct Multiplied {
    /// Rows and columns of the result, and the numbers of each sum.
    pub size: [usize; 3],
    /// Of all numbers.
    pub precision: DType,
    /// What the sums are multiplied by.
    pub scale: f32,
    /// Whether they are added to what is there.
    pub is_added: bool,
    /// How the sides lie in memory.
    pub sides: Sides,
    /// How many, and the distances of left, right and result.
    pub batch: Option<(usize, [usize; 3])>,
}

impl Multiplied {
    /// Begins it. cuBLASLt counts columns first: to it the matrices are transposed, and `toᵀ = rightᵀ · leftᵀ`.
    pub fn begin(
        &self,
        lane: &mut Lane,
        (left, right, to): (Matrix, Matrix, Matrix),
        bias: Option<u64>,
    ) -> Result<(), Failure> {
        let [rows, columns, sum] = self.size;
        let alignment = |address: u64| 1u32 << address.trailing_zeros().min(ALIGNMENT.trailing_zeros());
        let kind = Kind {
            size: self.size,
            strides: [left, right, to].map(|matrix| matrix.stride),
            alignments: [left, right, to].map(|matrix| alignment(matrix.address)),
            is_half: self.precision == DType::BF16,
            has_bias: bias.is_some(),
            is_added: self.is_added,
            sides: self.sides,
            batch: self.batch,
        };
        let description = Description::new(self.sides, bias)?;
        let right_size = if self.sides == Sides::RightTransposed { (sum, columns) } else { (columns, sum) };
        let left_size = if self.sides == Sides::LeftTransposed { (rows, sum) } else { (sum, rows) };
        let (batch, distances) = self.batch.unwrap_or((1, [0; 3]));
        let layout =
            |size, matrix: Matrix, distance| MatrixLayout::new(size, matrix.stride, self.precision, (batch, distance));
        let layouts = [
            layout(right_size, right, distances[1])?,
            layout(left_size, left, distances[0])?,
            layout((columns, rows), to, distances[2])?,
        ];
        let algorithm = match lane.plans.0.get(&kind) {
            Some(algorithm) => *algorithm,
            None => {
                let algorithm = choose(lane, &description, &layouts, &kind)?;
                lane.plans.0.insert(kind, algorithm);
                algorithm
            }
        };
        let (alpha, beta) = (self.scale, f32::from(u8::from(self.is_added)));
        let pointer = |address: u64| address as *const c_void;
        // SAFETY: the layouts describe the matrices, whose memory burn keeps until the card has done what it was told.
        unsafe {
            blas::matmul(
                lane.blas,
                description.0,
                (&raw const alpha).cast(),
                (&raw const beta).cast(),
                pointer(right.address),
                layouts[0].0,
                pointer(left.address),
                layouts[1].0,
                pointer(to.address),
                layouts[2].0,
                to.address as *mut c_void,
                layouts[2].0,
                &raw const algorithm,
                lane.workspace.0 as *mut c_void,
                lane.workspace.1,
                lane.stream(),
            )?;
        }
        Ok(())
    }
}

/// Asks cuBLASLt how it would compute a product.
fn choose(
    lane: &Lane,
    description: &Description,
    layouts: &[MatrixLayout; 3],
    kind: &Kind,
) -> Result<lt::cublasLtMatmulAlgo_t, Failure> {
    use lt::cublasLtMatmulPreferenceAttributes_t as Attribute;
    let preference = blas::create_matmul_pref()?;
    let [left, right, to] = kind.alignments;
    let wishes: [(Attribute, u64); 5] = [
        (Attribute::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, lane.workspace.1 as u64),
        (Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, right.into()),
        (Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, left.into()),
        (Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, to.into()),
        (Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, to.into()),
    ];
    // SAFETY: each attribute is read from a number of its own width; handles are this function's and its caller's.
    unsafe {
        for (attribute, value) in wishes {
            let narrow = value as u32;
            let is_wide = attribute == Attribute::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
            let (from, bytes): (*const c_void, usize) =
                if is_wide { ((&raw const value).cast(), 8) } else { ((&raw const narrow).cast(), 4) };
            blas::set_matmul_pref_attribute(preference, attribute, from, bytes)?;
        }
        let [a, b, c] = layouts.each_ref().map(|layout| layout.0);
        let found = blas::get_matmul_algo_heuristic(lane.blas, description.0, a, b, c, c, preference);
        blas::destroy_matmul_pref(preference)?;
        Ok(found?.algo)
    }
}

/// Which product is computed, beside its matrices.
struct Description(lt::cublasLtMatmulDesc_t);

impl Description {
    fn new(sides: Sides, bias: Option<u64>) -> Result<Self, Failure> {
        use lt::cublasLtMatmulDescAttributes_t as Attribute;
        let this = Self(blas::create_matmul_desc(
            lt::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            lt::cudaDataType_t::CUDA_R_32F,
        )?);
        let of = |is_transposed| if is_transposed { TRANSPOSED } else { AS_IT_IS };
        this.set(Attribute::CUBLASLT_MATMUL_DESC_TRANSA, &of(sides == Sides::RightTransposed))?;
        this.set(Attribute::CUBLASLT_MATMUL_DESC_TRANSB, &of(sides == Sides::LeftTransposed))?;
        if let Some(bias) = bias {
            this.set(Attribute::CUBLASLT_MATMUL_DESC_EPILOGUE, &lt::cublasLtEpilogue_t::CUBLASLT_EPILOGUE_BIAS)?;
            this.set(Attribute::CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias)?;
        }
        Ok(this)
    }

    fn set<T>(&self, attribute: lt::cublasLtMatmulDescAttributes_t, value: &T) -> Result<(), Failure> {
        // SAFETY: the attribute is read from a value of its own type, here and now.
        unsafe { Ok(blas::set_matmul_desc_attribute(self.0, attribute, (&raw const *value).cast(), size_of::<T>())?) }
    }
}

impl Drop for Description {
    fn drop(&mut self) {
        // SAFETY: it was created and is not used any more. That it could not be destroyed changes nothing.
        let _ = unsafe { blas::destroy_matmul_desc(self.0) };
    }
}

/// Rows and columns of a matrix, as cuBLASLt counts them, and of those that follow it.
struct MatrixLayout(lt::cublasLtMatrixLayout_t);

impl MatrixLayout {
    fn new(
        (rows, columns): (usize, usize),
        stride: usize,
        precision: DType,
        (count, distance): (usize, usize),
    ) -> Result<Self, Failure> {
        use lt::cublasLtMatrixLayoutAttribute_t as Attribute;
        let kind =
            if precision == DType::BF16 { lt::cudaDataType_t::CUDA_R_16BF } else { lt::cudaDataType_t::CUDA_R_32F };
        let this = Self(blas::create_matrix_layout(kind, rows as u64, columns as u64, stride as i64)?);
        if count > 1 {
            let (count, distance) = (count as i32, distance as i64);
            // SAFETY: each attribute is read from a number of its own width, here and now.
            unsafe {
                let set = blas::set_matrix_layout_attribute;
                set(this.0, Attribute::CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, (&raw const count).cast(), 4)?;
                set(this.0, Attribute::CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, (&raw const distance).cast(), 8)?;
            }
        }
        Ok(this)
    }
}

impl Drop for MatrixLayout {
    fn drop(&mut self) {
        // SAFETY: it was created and is not used any more. That it could not be destroyed changes nothing.
        let _ = unsafe { blas::destroy_matrix_layout(self.0) };
    }
}
