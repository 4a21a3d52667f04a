"use strict";

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  // The badge would be fetched from a server of its makers.
  validatorUrl: "none",
  // Schemas are shown where they are used.
  defaultModelsExpandDepth: -1,
});
