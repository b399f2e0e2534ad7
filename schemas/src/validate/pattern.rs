//! ECMA-262 patterns, as JSON Schema writes them, in the syntax of the `regex` crate.
//!
//! It does not translate everything: what is not surely the same in both languages has no
//! translation, and then the row check decides.

/// The same pattern for `regex::Regex`, or nothing when the two could differ.
pub(super) fn translated(pattern: &str) -> Option<String> {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(c) = rest.next() {
        match (c, in_class) {
            ('\\', _) => escaped(rest.next()?, in_class, &mut out)?,
            ('[', false) => {
                in_class = true;
                out.push('[');
                if rest.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                // An empty class is legal there and means something else here.
                if rest.peek() == Some(&']') {
                    return None;
                }
            }
            (']', true) => {
                in_class = false;
                out.push(']');
            }
            // Nested classes and set operations exist here only.
            ('[', true) => return None,
            ('&' | '~' | '-', true) if rest.peek() == Some(&c) => return None,
            ('(', false) if rest.peek() == Some(&'?') => {
                rest.next();
                rest.next_if_eq(&':')?;
                out.push_str("(?:");
            }
            ('{', false) if rest.peek() == Some(&',') => return None,
            ('.', false) => out.push_str(r"[^\n\r\u{2028}\u{2029}]"),
            (other, _) => out.push(other),
        }
    }
    regex::Regex::new(&out).is_ok().then_some(out)
}

fn escaped(c: char, in_class: bool, out: &mut String) -> Option<()> {
    match (c, in_class) {
        // Digits are ASCII there and Unicode here.
        ('d', true) => out.push_str("0-9"),
        ('d', false) => out.push_str("[0-9]"),
        ('D', false) => out.push_str("[^0-9]"),
        ('n' | 'r' | 't', _) => out.extend(['\\', c]),
        ('^' | '$' | '\\' | '.' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|', _)
        | ('/' | '-', _) => out.extend(['\\', c]),
        _ => return None,
    }
    Some(())
}
