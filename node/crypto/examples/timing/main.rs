//! Whether time tells something about secrets, in the manner of dudect (Reparaz, Balasch and
//! Verbauwhede, 2017): Welch's t of two classes of measurements, for the key schedule, sealing and
//! opening of SM4-GCM on every kernel, and for SM2 signatures.
//!
//! `cargo run --release -p crypto --example timing [measurements [sm4|sm2]]`: 100,000 for each
//! line, a minute in all. Run it on a machine that does nothing else, and again with four times as
//! many where a value stands out.
//!
//! It does not pass or fail: it prints t values for a person to read. Beyond 4.5 in either
//! direction, a class is told apart by time; values that grow with the square root of the number
//! of measurements are a leak, others are noise.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement prints, and ends when something does not work"
)]

mod sealing;
mod signing;
mod welch;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let count = arguments.next().and_then(|it| it.parse().ok());
    let count = count.unwrap_or(100_000_usize);
    let wanted = arguments.next();
    let is_wanted = |name| wanted.as_deref().is_none_or(|it| it == name);
    println!("{count} measurements for each line");
    if is_wanted("sm4") {
        sealing::print_all(count);
    }
    if is_wanted("sm2") {
        signing::print_all(count);
    }
}
