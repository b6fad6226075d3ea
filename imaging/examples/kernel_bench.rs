//! Times a pipeline in memory: `kernel_bench PIPELINE [WxHxC] [THREADS] [RUNS]`; prints milliseconds.

use imaging::comm::serial::Serial;
use imaging::executor::{Context, run_rows};
use imaging::{Buffer, Color, Pipeline, Plan, Rows, SampleType, Shape};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let size: Vec<usize> = args
        .get(2)
        .map_or("4000x3000x3", String::as_str)
        .split('x')
        .map(|v| v.parse().expect("a number"))
        .collect();
    let threads = args.get(3).map_or(2, |v| v.parse().expect("a number"));
    let runs = args.get(4).map_or(7, |v| v.parse().expect("a number"));
    let color = [Color::Gray, Color::GrayAlpha, Color::Rgb, Color::Rgba][size[2] - 1];
    let shape = Shape::new(size[1], size[0], color, SampleType::U8);
    let mut state = 88172645463325252u64;
    let samples = (0..shape.rows * shape.row_len()).map(|i| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let (y, x, c) = (
            i / shape.row_len(),
            i % shape.row_len() / shape.channels(),
            i % shape.channels(),
        );
        let (fy, fx) = (y as f64 / 97.0 + c as f64, x as f64 / 131.0);
        let smooth = (fy.sin() * fx.cos() * 0.35 + 0.5) * 255.0;
        let noise =
            ((state >> 32) % 1000 + (state >> 20) % 1000 + state % 1000) as f64 / 1000.0 - 1.5;
        (smooth + noise * 30.0).clamp(0.0, 255.0) as u8
    });
    let rows = Rows {
        shape,
        first: 0,
        count: shape.rows,
        data: Buffer::U8(samples.collect()),
    };
    let pipeline = Pipeline::parse(&args[1]).expect("a pipeline");
    let plan = Plan::new(&pipeline, shape).expect("a plan");
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("threads");
    let comm = Serial::default();
    let mut context = Context::with_pool(&comm, &pool);
    let mut times: Vec<f64> = (0..=runs)
        .map(|_| {
            let mut input = context.spare.rows(shape, 0..shape.rows);
            input.data.bytes_mut().copy_from_slice(rows.data.bytes());
            let start = std::time::Instant::now();
            let result = run_rows(&mut context, &plan, input).expect("a result");
            let ms = start.elapsed().as_secs_f64() * 1e3;
            context.spare.give(std::hint::black_box(result));
            ms
        })
        .skip(1)
        .collect();
    times.sort_by(f64::total_cmp);
    #[allow(clippy::print_stdout)]
    {
        println!(
            "{}: median {:.2} ms, min {:.2} ms",
            args[1],
            times[runs / 2],
            times[0]
        );
    }
}
