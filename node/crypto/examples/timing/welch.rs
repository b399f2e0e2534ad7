//! Welch's t of two classes of measurements, for the examples that time secrets.
//!
//! It does not measure; it gets nanoseconds, each with the class that it belongs to.

/// One line of a table: Welch's t, and what each class took on average.
pub(crate) fn print(first: &str, second: &str, samples: &[(f64, bool)]) {
    // Interrupts make outliers that drown everything else, so the slowest tenth is left out.
    let mut times: Vec<f64> = samples.iter().map(|sample| sample.0).collect();
    times.sort_by(f64::total_cmp);
    let limit = times[times.len() * 9 / 10];
    let class = |wanted: bool| {
        let of_class = move |sample: &&(f64, bool)| sample.1 == wanted && sample.0 <= limit;
        Moments::of(samples.iter().filter(of_class).map(|sample| sample.0))
    };
    let (a, b) = (class(false), class(true));
    let t = (a.mean - b.mean) / (a.variance / a.count + b.variance / b.count).sqrt();
    println!(
        "| {t:5.2} | {first}: {:.0} ns | {second}: {:.0} ns |",
        a.mean, b.mean
    );
}

struct Moments {
    count: f64,
    mean: f64,
    variance: f64,
}

impl Moments {
    /// Welford's running mean and variance.
    fn of(times: impl Iterator<Item = f64>) -> Self {
        let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
        for time in times {
            count += 1.0;
            let delta = time - mean;
            mean += delta / count;
            squares += delta * (time - mean);
        }
        Self {
            count,
            mean,
            variance: squares / (count - 1.0),
        }
    }
}
