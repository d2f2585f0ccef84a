// Whether documents are shown as one reads them or as their source; the choice holds for every file.

class DocumentView {
  kind = $state<"read" | "source">("read");
}

export const documentView = new DocumentView();
