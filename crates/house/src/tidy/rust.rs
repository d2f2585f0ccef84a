//! The rules for Rust: what needs the code's structure rather than its lines.

use syn::spanned::Spanned;
use syn::visit::Visit;

use super::{File, Finding};

/// The longest function, from its signature to its closing brace, in lines.
const FUNCTION_LINES_MAX: usize = 80;

/// Endings of names that say nothing: a thing is called by what it is.
const EMPTY_NAMES: &[&str] = &["Helper", "Helpers", "Manager", "Service", "Util", "Utils"];

/// Modules that collect what has no other place.
const EMPTY_MODULES: &[&str] = &["common", "helper", "helpers", "misc", "util", "utils"];

/// Returns what is wrong with a Rust file.
pub(super) fn check(file: &File) -> Vec<Finding> {
    let parsed = match syn::parse_file(&file.text) {
        Ok(parsed) => parsed,
        Err(error) => return vec![file.finding(error.span().start().line, error.to_string())],
    };
    let mut visitor = Visitor {
        file,
        findings: Vec::new(),
    };
    visitor.visit_file(&parsed);
    if !file.text.starts_with("//!") {
        visitor
            .findings
            .push(file.finding(1, "no `//!` paragraph that says what this file is for"));
    }
    visitor.findings
}

struct Visitor<'a> {
    file: &'a File,
    findings: Vec<Finding>,
}

impl Visitor<'_> {
    fn function(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let first = signature.span().start().line;
        let last = body.brace_token.span.close().end().line;
        let lines = last + 1 - first;
        if lines > FUNCTION_LINES_MAX {
            let what = format!(
                "fn {} has {lines} lines (at most {FUNCTION_LINES_MAX})",
                signature.ident
            );
            self.findings.push(self.file.finding(first, what));
        }
    }

    fn name(&mut self, name: &syn::Ident, empty: &[&str], matches: fn(&str, &str) -> bool) {
        let text = name.to_string();
        if empty.iter().any(|word| matches(&text, word)) {
            let what = format!("the name {text} does not say what it is");
            self.findings
                .push(self.file.finding(name.span().start().line, what));
        }
    }

    fn type_name(&mut self, name: &syn::Ident) {
        self.name(name, EMPTY_NAMES, |name, word| name.ends_with(word));
    }
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.function(&item.sig, body);
        }
        syn::visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.type_name(&item.ident);
        syn::visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.type_name(&item.ident);
        syn::visit::visit_item_enum(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.type_name(&item.ident);
        syn::visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.type_name(&item.ident);
        syn::visit::visit_item_type(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.name(&item.ident, EMPTY_MODULES, |name, word| name == word);
        syn::visit::visit_item_mod(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::check;

    fn function_of(lines: usize) -> String {
        format!(
            "//! A sample.\nimpl It {{\n    fn long() {{\n{}    }}\n}}\n",
            "\n".repeat(lines - 2)
        )
    }

    #[test]
    fn a_function_may_have_80_lines_and_not_81() {
        assert_eq!(found(check, "a.rs", &function_of(80)), Vec::<String>::new());
        assert_eq!(
            found(check, "a.rs", &function_of(81)),
            ["3: fn long has 81 lines (at most 80)"]
        );
    }

    #[test]
    fn a_function_inside_a_function_or_module_is_measured() {
        let inner = function_of(90).replace("//! A sample.\n", "");
        let text = format!("//! A sample.\nmod tests {{\nfn outer() {{\n{inner}}}\n}}\n");
        let findings = found(check, "a.rs", &text);
        assert_eq!(findings.len(), 2, "{findings:?}");
    }

    #[test]
    fn braces_in_strings_do_not_end_a_function() {
        let text = format!(
            "//! A sample.\nfn long() {{\n    let a = \"}}\";\n{}}}\n",
            "\n".repeat(90)
        );
        assert_eq!(found(check, "a.rs", &text).len(), 1);
    }

    #[test]
    fn names_that_say_nothing_are_found_where_they_are_declared() {
        let text = "//! A sample.\nuse tauri::Manager;\nstruct SyncManager;\nmod utils {}\nfn f(it: &dyn Manager) {}\n";
        assert_eq!(
            found(check, "a.rs", text),
            [
                "3: the name SyncManager does not say what it is",
                "4: the name utils does not say what it is"
            ]
        );
    }

    #[test]
    fn a_file_says_first_what_it_is_for() {
        assert_eq!(
            found(check, "a.rs", "fn f() {}\n"),
            ["1: no `//!` paragraph that says what this file is for"]
        );
        assert_eq!(
            found(check, "a.rs", "//! Why.\nfn f() {}\n"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_file_that_does_not_parse_is_a_finding() {
        assert_eq!(found(check, "a.rs", "//! Why.\nfn {\n").len(), 1);
    }
}
